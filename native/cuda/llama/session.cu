#include <algorithm>
#include <cstring>

#include "llama/session.h"

namespace lutra::cuda {
namespace {

/// Enough for the products to reach their speed, few enough to stop soon.
constexpr std::int32_t piece_tokens = 512;

int widest_input(const Model& model) {
  return std::max({model.shape().hidden_size, model.shape().intermediate_size, model.query_rows()});
}

std::size_t product(std::int64_t a, std::int64_t b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

template <typename Use>
void each_projection(const Model& model, Use use) {
  for (const Layer& layer : model.layers()) {
    for (const Projection* parts : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) use(*parts);
  }
  use(model.head());
}

bool is_gated(const Projection& parts) { return parts.size() == 1 && parts[0].is_packed && parts[0].layout.is_gated; }

}  // namespace

Session::Session(Model& model, std::int32_t context_size, bool bytes_cache)
    : model_(&model),
      layout_{model.shape().layers - model.first_layer(), model.shape().kv_heads, model.shape().head_dim, bytes_cache},
      context_size_(context_size),
      tokens_(std::min(piece_tokens, context_size)),
      attend_grid_(attend_grid(model.shape().heads, layout_, model.limits().multiprocessors)),
      begins_early_(waits_by_itself(model.limits())),
      page_list_(static_cast<std::size_t>((context_size + page_positions - 1) / page_positions)),
      ids_(static_cast<std::size_t>(tokens_)),
      handed_on_(static_cast<std::size_t>(model.shape().hidden_size)) {
  model.require_whole();
  const ModelShape& shape = model.shape();
  device_pages_ = room(product((context_size + page_positions - 1) / page_positions, sizeof(unsigned char*)));
  device_input_ = room(sizeof(StepInput));
  device_ids_ = room(product(tokens_, sizeof(std::int32_t)));
  device_drawn_ = room(sizeof(std::int32_t));
  residual_ = room(product(tokens_, shape.hidden_size) * sizeof(float));
  qkv_ = room(product(tokens_, model.qkv_rows()) * sizeof(float));
  queries_ = room(product(tokens_, model.query_rows()) * 2);
  attended_ = room(product(tokens_, model.query_rows()) * 2);
  activated_ = room(product(tokens_, shape.intermediate_size) * 2);
  logits_ = room(product(1, shape.vocab_size) * sizeof(float));
  partials_ = room(attend_grid_.partial_floats() * sizeof(float));
  arrived_ = room(product(attend_grid_.blocks, sizeof(unsigned)));
  sampling_ = room(sampling_bytes(shape.vocab_size));

  bool has_dense = model.head().empty();
  std::size_t workspace = 0;
  each_projection(model, [&](const Projection& parts) {
    for (const DevicePart& part : parts) {
      has_dense |= !part.is_packed;
      if (part.is_packed) workspace = std::max(workspace, workspace_bytes(model.limits(), part.layout, tokens_));
    }
  });
  bool has_plain_gate = false;
  for (std::int32_t index = model.first_layer(); index < shape.layers; ++index)
    has_plain_gate |= !is_gated(model.layers()[static_cast<std::size_t>(index)].gate_up);
  if (has_plain_gate) both_ = room(product(tokens_, shape.intermediate_size) * 2 * sizeof(float));
  if (has_dense) prepared_ = room(product(tokens_, widest_input(model)) * 2);
  if (workspace > 0) workspace_ = room(workspace);
  ensure(cudaMemsetAsync(arrived_.get(), 0, arrived_.bytes(), stream_.get()), "clears memory");
  if (workspace > 0) ensure(cudaMemsetAsync(workspace_.get(), 0, workspace, stream_.get()), "clears memory");
  stream_.wait();
}

DeviceMemory Session::room(std::size_t bytes) {
  DeviceMemory memory(bytes);
  room_bytes_ += bytes;
  return memory;
}

void Session::add_page(const float* cosines, const float* sines) {
  if (positions() >= context_size_) throw Failure(Code::bad_input, "The context is full.");
  DeviceMemory page(static_cast<std::size_t>(layout_.page_bytes()));
  const auto half = static_cast<std::size_t>(layout_.angle_bytes() / 2);
  auto* bytes = page.as<unsigned char>();
  const cudaStream_t stream = stream_.get();
  // What is not written yet is read as part of a tile, and multiplied by 0: it must be a number.
  ensure(cudaMemsetAsync(bytes, 0, page.bytes(), stream), "clears memory");
  ensure(cudaMemcpyAsync(bytes, cosines, half, cudaMemcpyHostToDevice, stream), "takes angles");
  ensure(cudaMemcpyAsync(bytes + half, sines, half, cudaMemcpyHostToDevice, stream), "takes angles");
  const std::size_t index = pages_.size();
  page_list_.get()[index] = bytes;
  ensure(cudaMemcpyAsync(device_pages_.as<unsigned char*>() + index, page_list_.get() + index, sizeof bytes,
                         cudaMemcpyHostToDevice, stream),
         "takes a page's address");
  stream_.wait();
  pages_.push_back(std::move(page));
}

void Session::require_room(std::int32_t position, std::int32_t count) const {
  if (position < 0 || count < 1 || position + count > std::min(positions(), context_size_))
    throw Failure(Code::bad_input,
                  "There is no room for " + std::to_string(count) + " tokens at " + std::to_string(position) + ".");
}

void Session::require_kind(const float* residual) const {
  if ((residual != nullptr) == (model_->first_layer() > 0)) return;
  throw Failure(Code::bad_input, model_->first_layer() > 0 ? "This part of the model takes the residual stream."
                                                           : "The whole model takes tokens.");
}

void Session::send_input() {
  ensure(cudaMemcpyAsync(device_input_.get(), input_.get(), sizeof(StepInput), cudaMemcpyHostToDevice, stream_.get()),
         "takes a step's input");
}

void Session::project(const Projection& parts, const Input& input, int tokens, void* y, Scalar y_type, int y_stride,
                      const float* residual) {
  const float eps = model_->shape().norm_eps;
  const cudaStream_t stream = stream_.get();
  const std::uint16_t* ready =
      input.is_f32 || input.norm != nullptr ? nullptr : static_cast<const std::uint16_t*>(input.x);
  for (const DevicePart& part : parts) {
    if (part.is_packed) {
      const std::size_t width = y_type == Scalar::f32 ? 4 : 2;
      MulMat mul_mat;
      mul_mat.layout = &part.layout;
      mul_mat.weight = part.weight.get();
      mul_mat.tokens = tokens;
      mul_mat.x = input.x;
      mul_mat.x_type = input.is_f32 ? Scalar::f32 : Scalar::f16;
      mul_mat.x_stride = input.width;
      mul_mat.norm = input.norm;
      mul_mat.norm_eps = eps;
      mul_mat.y = static_cast<unsigned char*>(y) + static_cast<std::size_t>(part.row_begin) * width;
      mul_mat.y_type = y_type;
      mul_mat.y_stride = y_stride;
      mul_mat.bias = part.bias.as<float>();
      mul_mat.residual = residual == nullptr ? nullptr : residual + part.row_begin;
      ensure(lut_mul_mat(model_->limits(), mul_mat, workspace_.get(), stream), "multiplies");
      continue;
    }
    if (ready == nullptr) {
      PrepareArguments arguments;
      arguments.x = input.x;
      arguments.is_f32 = input.is_f32;
      arguments.width = arguments.target_width = input.width;
      arguments.norm = input.norm;
      arguments.eps = eps;
      arguments.target = prepared_.as<std::uint16_t>();
      ensure(prepare(arguments, tokens, stream, begins_early_), "norms");
      ready = arguments.target;
    }
    DenseArguments arguments;
    arguments.weight = part.weight.as<std::uint16_t>();
    arguments.type = part.type;
    arguments.rows = part.rows;
    arguments.columns = part.columns;
    arguments.tokens = tokens;
    arguments.x = ready;
    arguments.y = static_cast<float*>(y) + part.row_begin;
    arguments.y_stride = y_stride;
    arguments.bias = part.bias.as<float>();
    arguments.residual = residual == nullptr ? nullptr : residual + part.row_begin;
    ensure(dense(arguments, stream), "multiplies");
  }
}

void Session::layer(int index, int tokens) {
  const Layer& layer = model_->layers()[static_cast<std::size_t>(index)];
  const ModelShape& shape = model_->shape();
  const cudaStream_t stream = stream_.get();
  auto* x = residual_.as<float>();
  const int hidden = shape.hidden_size;
  const Cache cache{layout_, device_pages_.as<unsigned char*>()};

  project(layer.qkv, {x, true, hidden, layer.input_norm.as<float>()}, tokens, qkv_.get(), Scalar::f32,
          model_->qkv_rows(), nullptr);
  StoreArguments store;
  store.step = device_input_.as<StepInput>();
  store.cache = cache;
  store.layer = index - model_->first_layer();
  store.heads = shape.heads;
  store.qkv = qkv_.as<float>();
  store.q_norm = layer.q_norm.as<float>();
  store.k_norm = layer.k_norm.as<float>();
  store.eps = shape.norm_eps;
  store.queries = queries_.as<std::uint16_t>();
  ensure(store_keys(store, tokens, stream, begins_early_), "stores keys");

  AttendArguments attend;
  attend.step = store.step;
  attend.cache = cache;
  attend.layer = store.layer;
  attend.heads = shape.heads;
  attend.window = layer.window;
  attend.tokens = tokens;
  attend.queries = store.queries;
  attend.target = attended_.as<std::uint16_t>();
  attend.partials = partials_.as<float>();
  attend.arrived = arrived_.as<unsigned>();
  ensure(tokens == 1 ? attend_one(attend, attend_grid_, stream, begins_early_) : attend_many(attend, stream),
         "attends");
  project(layer.o, {attended_.get(), false, model_->query_rows(), nullptr}, tokens, x, Scalar::f32, hidden, x);

  const Input normed{x, true, hidden, layer.post_attention_norm.as<float>()};
  const int inner = shape.intermediate_size;
  if (is_gated(layer.gate_up)) {
    project(layer.gate_up, normed, tokens, activated_.get(), Scalar::f16, inner, nullptr);
  } else {
    project(layer.gate_up, normed, tokens, both_.get(), Scalar::f32, 2 * inner, nullptr);
    ensure(gate(both_.as<float>(), tokens, inner, activated_.as<std::uint16_t>(), stream), "gates");
  }
  project(layer.down, {activated_.get(), false, inner, nullptr}, tokens, x, Scalar::f32, hidden, x);
}

void Session::project_head(int tokens, bool all_logits) {
  const ModelShape& shape = model_->shape();
  const int rows = all_logits ? tokens : 1;
  const float* x = residual_.as<float>() + product(tokens - rows, shape.hidden_size);
  const Input input{x, true, shape.hidden_size, model_->norm()};
  if (!model_->head().empty()) {
    project(model_->head(), input, rows, logits_.get(), Scalar::f32, shape.vocab_size, nullptr);
    return;
  }
  PrepareArguments arguments;
  arguments.x = x;
  arguments.is_f32 = true;
  arguments.width = arguments.target_width = shape.hidden_size;
  arguments.norm = model_->norm();
  arguments.eps = shape.norm_eps;
  arguments.target = prepared_.as<std::uint16_t>();
  ensure(prepare(arguments, rows, stream_.get(), begins_early_), "norms");
  DenseArguments head;
  head.weight = static_cast<const std::uint16_t*>(model_->embedding());
  head.type = model_->embedding_type() == Stored::bf16 ? Float16::bf16 : Float16::f16;
  head.rows = shape.vocab_size;
  head.columns = shape.hidden_size;
  head.tokens = rows;
  head.x = arguments.target;
  head.y = logits_.as<float>();
  head.y_stride = shape.vocab_size;
  ensure(dense(head, stream_.get()), "multiplies");
}

void Session::look(const Tap& tap, int layer, int tokens) {
  std::vector<float> residual(product(tokens, model_->shape().hidden_size));
  const std::size_t bytes = residual.size() * sizeof(float);
  ensure(cudaMemcpyAsync(residual.data(), residual_.get(), bytes, cudaMemcpyDeviceToHost, stream_.get()),
         "gives the residual stream");
  stream_.wait();
  if (!tap.look(tap.user, layer, residual.data(), tokens)) return;
  ensure(cudaMemcpyAsync(residual_.get(), residual.data(), bytes, cudaMemcpyHostToDevice, stream_.get()),
         "takes the residual stream");
  stream_.wait();
}

void Session::embed(const std::int32_t* ids, int tokens) {
  ensure(cuda::embed(model_->embedding(), model_->embedding_type(), ids, tokens, model_->shape().hidden_size,
                     residual_.as<float>(), stream_.get()),
         "reads the embedding");
}

void Session::take_residual(const float* values, int tokens) {
  ensure(cudaMemcpyAsync(residual_.get(), values, product(tokens, model_->shape().hidden_size) * sizeof(float),
                         cudaMemcpyHostToDevice, stream_.get()),
         "takes the residual stream");
}

void Session::run_layers(int tokens, bool all_logits, const Tap* tap) {
  for (int index = model_->first_layer(); index < model_->shape().layers; ++index) {
    layer(index, tokens);
    if (tap != nullptr) look(*tap, index, tokens);
  }
  project_head(tokens, all_logits);
}

void Session::read_logits(float* target, int rows) {
  if (target != nullptr) {
    ensure(cudaMemcpyAsync(target, logits_.get(), product(rows, model_->shape().vocab_size) * sizeof(float),
                           cudaMemcpyDeviceToHost, stream_.get()),
           "gives logits");
  }
  stream_.wait();
}

void Session::prefill(const std::int32_t* tokens, const float* residual, std::int32_t count, std::int32_t position,
                      bool all_logits, float* logits, const Tap* tap) {
  require_room(position, count);
  require_kind(residual);
  if (count > tokens_) throw Failure(Code::bad_input, "These are more tokens than one piece holds.");
  const std::size_t logit_bytes = product(all_logits ? count : 1, model_->shape().vocab_size) * sizeof(float);
  if (logits_.bytes() < logit_bytes) {
    graph_.reset();  // it knows the old place
    logits_ = room(logit_bytes);
  }
  *input_ = StepInput{};
  input_->position = position;
  send_input();
  if (residual != nullptr) {
    take_residual(residual, count);
  } else {
    std::memcpy(ids_.get(), tokens, product(count, sizeof(std::int32_t)));
    ensure(cudaMemcpyAsync(device_ids_.get(), ids_.get(), product(count, sizeof(std::int32_t)), cudaMemcpyHostToDevice,
                           stream_.get()),
           "takes tokens");
    embed(device_ids_.as<std::int32_t>(), count);
  }
  run_layers(count, all_logits, tap);
  last_row_ = all_logits ? count - 1 : 0;
  read_logits(logits, all_logits ? count : 1);
}

std::int32_t Session::draw(const StepInput& step) {
  *input_ = step;
  send_input();
  const float* logits = logits_.as<float>() + product(last_row_, model_->shape().vocab_size);
  ensure(sample(device_input_.as<StepInput>(), logits, model_->shape().vocab_size, sampling_.get(),
                device_drawn_.as<std::int32_t>(), stream_.get()),
         "draws");
  ensure(
      cudaMemcpyAsync(drawn_.get(), device_drawn_.get(), sizeof(std::int32_t), cudaMemcpyDeviceToHost, stream_.get()),
      "gives a token");
  stream_.wait();
  return *drawn_;
}

/// Everything of a step. The input is copied from pinned memory, so that a graph of this serves every step.
void Session::step_work() {
  send_input();
  const auto* input = device_input_.as<StepInput>();
  if (model_->first_layer() > 0)
    take_residual(handed_on_.get(), 1);
  else
    embed(&input->token, 1);
  run_layers(1, false, nullptr);
  ensure(sample(input, logits_.as<float>(), model_->shape().vocab_size, sampling_.get(),
                device_drawn_.as<std::int32_t>(), stream_.get()),
         "draws");
  ensure(
      cudaMemcpyAsync(drawn_.get(), device_drawn_.get(), sizeof(std::int32_t), cudaMemcpyDeviceToHost, stream_.get()),
      "gives a token");
}

void Session::capture_step() {
  ensure(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal), "begins a graph");
  cudaGraph_t captured = nullptr;
  try {
    step_work();
  } catch (const Failure&) {
    static_cast<void>(cudaStreamEndCapture(stream_.get(), &captured));
    const std::unique_ptr<CUgraph_st, DestroyGraph> ended(captured);
    throw;
  }
  ensure(cudaStreamEndCapture(stream_.get(), &captured), "ends a graph");
  const std::unique_ptr<CUgraph_st, DestroyGraph> graph(captured);
  cudaGraphExec_t made = nullptr;
  ensure(cudaGraphInstantiate(&made, captured, 0), "prepares a graph");
  graph_.reset(made);
}

std::int32_t Session::step(const StepInput& step, const float* residual, float* logits) {
  require_room(step.position, 1);
  require_kind(residual);
  *input_ = step;
  if (residual != nullptr)
    std::memcpy(handed_on_.get(), residual, product(1, model_->shape().hidden_size) * sizeof(float));
  if (!is_warm_) {
    // The first step loads the kernels, which a capture may not.
    step_work();
    is_warm_ = true;
  } else {
    if (!graph_) capture_step();
    ensure(cudaGraphLaunch(graph_.get(), stream_.get()), "begins a step");
  }
  read_logits(logits, 1);
  last_row_ = 0;
  return *drawn_;
}

}  // namespace lutra::cuda
