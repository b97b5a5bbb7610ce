"""The model's pass of a training step, over rows that each hold several dialogues about one picture or clip, none of
which sees another. The same sums as Evlm.forward on each dialogue alone, in fixed shapes, few launches, and parts that
torch.compile takes one by one: every expert works on every token, and the router's weights leave out all but the best."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evlm import CrossAttention, Evlm, Mixture, VisionBlock, split_heads
from rows import ALL_FRAMES

_ALIGNED = 8  # the attention of a GPU wants lengths that this divides


@dataclass
class Rows:
    """(n, length) each; see rows.Layout.empty."""

    ids: Tensor
    labels: Tensor
    weights: Tensor
    dialogue: Tensor
    place: Tensor
    sees: Tensor
    slot: Tensor
    frames: Tensor | None  # (n), how many pictures each row shows; None for one each


@dataclass
class Pass:
    logits: Tensor  # (n, length, vocabulary)
    balance: Tensor
    halfway: Tensor  # (n, length, width), the states after half of the layers


def vision_block(block: VisionBlock, x: Tensor) -> Tensor:
    return block(x)


def mixture_of(mixture: Mixture, x: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Mixture.forward and its balance loss; x (tokens, width), counted (tokens) of 0 and 1."""
    with torch.autocast(x.device.type, enabled=False):
        probabilities = F.linear(x.float(), mixture.router.weight).softmax(-1)
    weights, choices = probabilities.topk(mixture.chosen, -1)
    if mixture.normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    load = torch.zeros_like(probabilities).scatter(1, choices, 1.0)
    share = torch.zeros_like(probabilities).scatter(1, choices, weights)  # (tokens, experts)
    experts, inner, width = mixture.fc1.shape
    hidden = mixture.act(F.linear(x, mixture.fc1.reshape(experts * inner, width))).unflatten(-1, (experts, inner))
    hidden = (hidden * share[..., None].to(hidden.dtype)).flatten(1)
    routed = F.linear(hidden, mixture.fc2.transpose(0, 1).reshape(width, experts * inner))
    total = counted.sum().clamp(min=1)
    of_load, of_probability = ((each * counted[:, None]).sum(0) / total for each in (load, probabilities))
    return routed + mixture.shared_expert(x), experts * (of_load / mixture.chosen * of_probability).sum()


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on (n, heads, tokens, d); cos, sin (n, 1, tokens, d)."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def text_layer(
    cross: CrossAttention, block: nn.Module, x: Tensor, feature: Tensor, seen: Tensor, own: Tensor, cos: Tensor, sin: Tensor, counted: Tensor,
    heads: int,
) -> tuple[Tensor, Tensor]:
    """A layer of cross-attention and one of the text model. x (n, length, width), feature (n, visual tokens, vision width),
    seen (n, 1, length, padded visual tokens), own (n, 1, length, length), counted (n, length) -> x and the balance loss."""
    keys, values = cross.keys_values(feature)
    k, v = (split_heads(F.pad(each, (0, 0, 0, seen.shape[-1] - each.shape[1])), cross.heads) for each in (keys, values))
    q = split_heads(cross.q_proj(cross.attention_norm(x)), cross.heads)
    looked = F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
    x = x + cross.attention_gate.tanh() * cross.o_proj(looked)
    out, balance = mixture_of(cross.mixture, cross.ffn_norm(x).flatten(0, 1), counted.flatten())
    x = x + cross.ffn_gate.tanh() * out.view_as(x)
    normed, attention = block.input_layernorm(x), block.self_attn
    q, k, v = (split_heads(project(normed), heads) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    q, k = (_turned(each, cos, sin).to(v.dtype) for each in (q, k))
    read = F.scaled_dot_product_attention(q, k, v, attn_mask=own).transpose(1, 2).flatten(2)
    x = x + attention.o_proj(read)
    return x + block.mlp(block.post_attention_layernorm(x)), balance


class Passes:
    """The two towers' passes with a model's weights; `wrap` makes the parts that are worth it fast."""

    def __init__(self, model: Evlm, wrap: Callable[[Callable], Callable] = lambda part: part):
        self.model = model
        self.vision_block, self.text_layer = wrap(vision_block), wrap(text_layer)

    def look(self, patches: Tensor) -> list[Tensor]:
        """(n, patches, values) as paint.to_patches makes them -> the tapped features, each (n, 1 + patches, width)"""
        tower = self.model.vision_model
        embedding, places = tower.patch_embedding, tower.position_embedding.weight
        # Fine differences of grey decide here.
        with torch.autocast(patches.device.type, enabled=False):
            x = F.linear(patches, embedding.weight.flatten(1), embedding.bias) + places[1:]
        x = torch.cat([(tower.class_embedding + places[0]).expand(len(x), 1, -1), x], 1)
        states = {}
        for done, layer in enumerate(tower.layers, start=1):
            x = self.vision_block(layer, x)
            states[done] = x
        return [states[done] for done in tower.tapped_layers]

    def read(self, features: list[Tensor], rows: Rows) -> Pass:
        """features: the taps, each (n, visual tokens of all of a row's pictures, vision width)"""
        model, language = self.model, self.model.language_model.model
        zeros = model.config["cross_attention_config"].get("zero_vectors", 0)
        is_text = rows.slot < 0
        x = language.embed_tokens(rows.ids.masked_fill(~is_text, 0))
        x = torch.where(is_text[..., None], x, model.media_embedding(rows.slot.clamp(min=0)))
        cos, sin = (each[:, None] for each in language.rotary_emb(x, rows.place))
        length, visual = rows.ids.shape[1], features[0].shape[1]
        at = torch.arange(length, device=x.device)
        own = ((rows.dialogue[:, :, None] == rows.dialogue[:, None]) & (at[:, None] >= at))[:, None]
        seen = self._seen(rows, visual)
        seen = F.pad(seen, (0, zeros), value=True)
        seen = F.pad(seen, (0, -(visual + zeros) % _ALIGNED), value=False)[:, None]
        counted = (rows.dialogue >= 0).float()
        balances, halfway = [], x
        layers = list(zip(model.cross_attention_layers, language.layers))
        for layer, (cross, block) in enumerate(layers):
            tapped = features[model.tap_of_layer[layer]]
            x, balance = self.text_layer(cross, block, x, tapped, seen, own, cos, sin, counted, model.language_model.config.num_attention_heads)
            balances.append(balance)
            if layer + 1 == len(layers) // 2:
                halfway = x
        return Pass(model.language_model.lm_head(language.norm(x)), torch.stack(balances).mean(), halfway)

    def _seen(self, rows: Rows, visual: int) -> Tensor:
        """(n, length, visual): a media token sees its own frame, a text token after them all that there are."""
        if rows.frames is None:
            return (rows.sees >= 0)[..., None].expand(-1, -1, visual)
        tokens = len(self.model.vision_model.position_embedding.weight)  # of a picture
        frame = torch.arange(visual // tokens, device=rows.ids.device)
        is_there = frame < rows.frames[:, None, None]
        of_frame = is_there & ((rows.sees[..., None] == frame) | (rows.sees[..., None] == ALL_FRAMES))
        return of_frame.repeat_interleave(tokens, -1)
