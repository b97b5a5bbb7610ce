#include "llama/kernels.h"
#include "llama/model.h"

namespace lutra::cuda {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Failure(Code::bad_input, text); }

std::int32_t checked(std::int32_t device) {
  ensure(cudaSetDevice(device), "is chosen");
  return device;
}

bool is_whole(const Projection& parts, int rows) {
  int known = 0;
  for (const DevicePart& part : parts) known += part.rows;
  return known == rows;
}

}  // namespace

Model::Model(std::int32_t device, const ModelShape& shape)
    : device_(checked(device)), shape_(shape), layers_(static_cast<std::size_t>(shape.layers)) {
  if (shape.head_dim > most_head_dim || shape.head_dim % 2 != 0)
    refuse("Heads of " + std::to_string(shape.head_dim) + " numbers are not known to the graphics card's kernels.");
  for (const int width : {shape.hidden_size, shape.intermediate_size, query_rows()}) {
    if (width % 8 != 0)
      refuse("The graphics card's kernels take widths that are multiples of 8, not " + std::to_string(width) + ".");
  }
  ensure(query(device, limits_), "tells what it is");
  ensure(allow_kernels(), "prepares its kernels");
}

void Model::enter() const { ensure(cudaSetDevice(device_), "is chosen"); }

DeviceMemory Model::upload(const void* bytes, std::size_t count) {
  DeviceMemory memory(count);
  ensure(cudaMemcpyAsync(memory.get(), bytes, count, cudaMemcpyHostToDevice, stream_.get()), "takes weights");
  stream_.wait();  // the caller's bytes may go
  bytes_ += count;
  return memory;
}

Layer& Model::layer(std::int32_t index) {
  if (index < 0 || index >= shape_.layers) refuse("There is no layer " + std::to_string(index) + ".");
  return layers_[static_cast<std::size_t>(index)];
}

Projection& Model::projection(const Part& part) {
  switch (part.slot) {
    case Slot::qkv:
      return layer(part.layer).qkv;
    case Slot::o:
      return layer(part.layer).o;
    case Slot::gate_up:
      return layer(part.layer).gate_up;
    case Slot::down:
      return layer(part.layer).down;
    case Slot::head:
      return head_;
  }
  refuse("There is no such projection.");
}

void Model::set_embedding(TableType type, const void* bytes) {
  embedding_type_ = type == TableType::f32 ? Stored::f32 : type == TableType::bf16 ? Stored::bf16 : Stored::f16;
  const std::size_t width = type == TableType::f32 ? 4 : 2;
  embedding_ =
      upload(bytes, static_cast<std::size_t>(shape_.vocab_size) * static_cast<std::size_t>(shape_.hidden_size) * width);
}

void Model::set_norm(Norm norm, std::int32_t index, const float* weight, std::int32_t length) {
  const bool is_of_head = norm == Norm::q || norm == Norm::k;
  if (length != (is_of_head ? shape_.head_dim : shape_.hidden_size)) refuse("A norm has the wrong length.");
  DeviceMemory memory = upload(weight, static_cast<std::size_t>(length) * sizeof(float));
  switch (norm) {
    case Norm::input:
      layer(index).input_norm = std::move(memory);
      return;
    case Norm::post_attention:
      layer(index).post_attention_norm = std::move(memory);
      return;
    case Norm::q:
      layer(index).q_norm = std::move(memory);
      return;
    case Norm::k:
      layer(index).k_norm = std::move(memory);
      return;
    case Norm::last:
      norm_ = std::move(memory);
      return;
  }
}

void Model::add(const DenseWeight& weight) {
  DevicePart part;
  part.type = weight.is_bf16 ? Float16::bf16 : Float16::f16;
  part.rows = weight.rows;
  part.columns = weight.columns;
  part.row_begin = weight.part.row_begin;
  const auto rows = static_cast<std::size_t>(weight.rows);
  part.weight = upload(weight.bytes, rows * static_cast<std::size_t>(weight.columns) * 2);
  if (weight.part.bias != nullptr) part.bias = upload(weight.part.bias, rows * sizeof(float));
  projection(weight.part).push_back(std::move(part));
}

void Model::add(const PackedWeight& weight) {
  DevicePart part;
  part.is_packed = true;
  part.layout = *weight.layout;
  part.rows = part.layout.is_gated ? 2 * part.layout.rows : part.layout.rows;
  part.columns = part.layout.columns;
  part.row_begin = weight.part.row_begin;
  part.weight = upload(weight.bytes, static_cast<std::size_t>(part.layout.size_bytes));
  if (weight.part.bias != nullptr)
    part.bias = upload(weight.part.bias, static_cast<std::size_t>(part.rows) * sizeof(float));
  projection(weight.part).push_back(std::move(part));
}

void Model::drop(DeviceMemory& memory) {
  bytes_ -= memory.bytes();
  memory = {};
}

void Model::begin_at(std::int32_t index) {
  static_cast<void>(layer(index));  // is there
  for (std::int32_t i = 0; i < index; ++i) {
    Layer& gone = layer(i);
    for (DeviceMemory* norm : {&gone.input_norm, &gone.post_attention_norm, &gone.q_norm, &gone.k_norm}) drop(*norm);
    for (Projection* parts : {&gone.qkv, &gone.o, &gone.gate_up, &gone.down}) {
      for (DevicePart& part : *parts) {
        drop(part.weight);
        if (part.bias.get() != nullptr) bytes_ -= part.bias.bytes();
      }
    }
    gone = {};
  }
  if (index > 0 && !head_.empty()) drop(embedding_);
  first_layer_ = index;
}

void Model::require_whole() const {
  const bool needs_embedding = first_layer_ == 0 || head_.empty();
  if ((needs_embedding && embedding_.get() == nullptr) || norm_.get() == nullptr)
    refuse("The embedding or the last norm was not given.");
  if (!head_.empty() && !is_whole(head_, shape_.vocab_size)) refuse("Rows of the head were not given.");
  if (head_.empty() && embedding_type_ == Stored::f32) refuse("A head in f32 is not known to the kernels.");
  for (std::int32_t index = first_layer_; index < shape_.layers; ++index) {
    const Layer& layer = layers_[static_cast<std::size_t>(index)];
    if (layer.input_norm.get() == nullptr || layer.post_attention_norm.get() == nullptr ||
        !is_whole(layer.qkv, qkv_rows()) || !is_whole(layer.o, shape_.hidden_size) ||
        !is_whole(layer.gate_up, 2 * shape_.intermediate_size) || !is_whole(layer.down, shape_.hidden_size))
      refuse("Weights of layer " + std::to_string(index) + " were not given.");
  }
}

}  // namespace lutra::cuda
