"""The text model's pass of a training step, for rows of very different lengths: all that works on single tokens (norms,
projections, experts) runs over the tokens of all rows at once, without padding; only attention sees rows. The same
sums as Evlm.forward, which pads each row to the longest, at less than half of the time."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from evlm import Evlm, split_heads

_ROWS_AT_ONCE = 16


@dataclass
class Row:
    item: int  # which picture or clip of its group
    ids: list[int]
    labels: list[int]


@dataclass
class Group:
    """Rows about pictures (frames = 1) or clips; features as the tower's taps, (items * frames, tokens, width)."""

    features: list[Tensor]
    frames: int
    rows: list[Row]


@dataclass
class _Chunk:
    """Rows of like length, padded for attention only."""

    group: int
    start: int  # its tokens among all
    stop: int
    items: Tensor  # (n)
    length: int
    place: Tensor  # (tokens), in the padded (n * length)
    mask: Tensor  # (n, 1, length, visual tokens + zero vectors)

    def padded(self, x: Tensor, heads: int) -> Tensor:
        """(all tokens, width) -> (n, heads, length, head width)"""
        n = len(self.items)
        out = x.new_zeros(n * self.length, x.shape[1]).index_copy(0, self.place, x[self.start : self.stop])
        return split_heads(out.unflatten(0, (n, self.length)), heads)

    def flat(self, x: Tensor) -> Tensor:
        """The way back, of this chunk's tokens."""
        return x.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, self.place)


@dataclass
class Pass:
    loss: Tensor  # mean over all labels of the sums weighted by group
    losses: list[float]  # by group, mean
    balance: Tensor
    halfway: dict[int, tuple[Tensor, Tensor]]  # of groups of clips: states of each frame's last media token, and their items


def _turned(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """Rotary positions on (tokens, heads * d); cos, sin (tokens, 1, d)."""
    x = x.unflatten(1, (heads, -1))
    half = x.shape[-1] // 2
    return (x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin).flatten(1)


def text_pass(model: Evlm, groups: list[Group], weights: list[float]) -> Pass:
    """`weights`: of each group's mean loss."""
    language, crosses = model.language_model.model, model.cross_attention_layers
    text, config = model.language_model.config, model.config["cross_attention_config"]
    media_tokens, zeros = config["media_tokens"], config.get("zero_vectors", 0)
    heads, cross_heads = text.num_attention_heads, config["num_attention_heads"]
    chunks: list[_Chunk] = []
    ids: list[int] = []
    labels: list[int] = []
    positions: list[Tensor] = []
    slots: list[Tensor] = []
    for number, group in enumerate(groups):
        ordered = sorted(group.rows, key=lambda row: len(row.ids))
        tokens = group.features[0].shape[1]
        for at in range(0, len(ordered), _ROWS_AT_ONCE):
            rows = ordered[at : at + _ROWS_AT_ONCE]
            length, start = len(rows[-1].ids), len(ids)
            place, mask = [], torch.zeros(len(rows), length, group.frames, dtype=torch.bool)
            for i, row in enumerate(rows):
                mine = torch.tensor(row.ids) == model.config["media_token_id"]
                order = mine.cumsum(0) - 1
                seen = mine[:, None] & ((order // media_tokens)[:, None] == torch.arange(group.frames))
                mask[i, : len(row.ids)] = seen | (~mine & (order >= 0))[:, None]
                place.append(torch.arange(len(row.ids)) + i * length)
                positions.append(torch.arange(len(row.ids)))
                slots.append(torch.where(mine, order % media_tokens, -1))
                ids += row.ids
                # What the next token should be.
                labels += row.labels[1:] + [-100]
            wide = F.pad(mask.repeat_interleave(tokens, -1), (0, zeros), value=True)[:, None]
            chunks.append(_Chunk(number, start, len(ids), torch.tensor([row.item for row in rows]), length, torch.cat(place), wide))
    slot, position, wanted = torch.cat(slots), torch.cat(positions), torch.tensor(labels)
    is_media = slot >= 0
    x = language.embed_tokens(torch.tensor(ids).masked_fill(is_media, 0))
    x = torch.where(is_media[:, None], model.media_embedding(slot.clamp(min=0)), x)  # (tokens, width)
    cos, sin = (each[0][:, None] for each in language.rotary_emb(x[None], position[None]))
    balances, halfway = [], {}
    for layer, (cross, block) in enumerate(zip(crosses, language.layers)):
        pairs = [[_by_item(each, group.frames, zeros) for each in cross.keys_values(group.features[model.tap_of_layer[layer]])] for group in groups]
        q = cross.q_proj(cross.attention_norm(x))
        seen = []
        for chunk in chunks:
            k, v = (split_heads(each[chunk.items], cross_heads) for each in pairs[chunk.group])
            seen.append(chunk.flat(F.scaled_dot_product_attention(chunk.padded(q, cross_heads), k, v, attn_mask=chunk.mask)))
        x = x + cross.attention_gate.tanh() * cross.o_proj(torch.cat(seen))
        out, balance = cross.mixture(cross.ffn_norm(x), torch.ones(len(x), dtype=torch.bool))
        x = x + cross.ffn_gate.tanh() * out
        balances.append(balance.loss())
        normed, attention = block.input_layernorm(x), block.self_attn
        q, k = (_turned(project(normed), cos, sin, heads) for project in (attention.q_proj, attention.k_proj))
        v = attention.v_proj(normed)
        seen = [
            chunk.flat(F.scaled_dot_product_attention(*(chunk.padded(each, heads) for each in (q, k, v)), is_causal=True)) for chunk in chunks
        ]
        x = x + attention.o_proj(torch.cat(seen))
        x = x + block.mlp(block.post_attention_layernorm(x))
        if layer + 1 == len(crosses) // 2:
            halfway = _media_states(x, groups, chunks, slot, media_tokens)
    losses = []
    x = language.norm(x)
    for number in range(len(groups)):
        start = min(chunk.start for chunk in chunks if chunk.group == number)
        stop = max(chunk.stop for chunk in chunks if chunk.group == number)
        asked = wanted[start:stop] >= 0
        losses.append(F.cross_entropy(model.language_model.lm_head(x[start:stop][asked]), wanted[start:stop][asked]))
    total = sum(loss * weight for loss, weight in zip(losses, weights))
    return Pass(total, [float(loss.detach()) for loss in losses], torch.stack(balances).mean(), halfway)


def _by_item(x: Tensor, frames: int, zeros: int) -> Tensor:
    """(items * frames, tokens, width) -> (items, frames * tokens + zeros, width)"""
    return F.pad(x.unflatten(0, (-1, frames)).flatten(1, 2), (0, 0, 0, zeros))


def _media_states(x: Tensor, groups: list[Group], chunks: list[_Chunk], slot: Tensor, media_tokens: int) -> dict[int, tuple[Tensor, Tensor]]:
    found: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for chunk in chunks:
        frames = groups[chunk.group].frames
        if frames > 1:
            last = (slot[chunk.start : chunk.stop] == media_tokens - 1).nonzero()[:, 0]
            found.setdefault(chunk.group, []).append((x[chunk.start : chunk.stop][last].unflatten(0, (-1, frames)), chunk.items))
    return {group: (torch.cat([states for states, _ in parts]), torch.cat([items for _, items in parts])) for group, parts in found.items()}
