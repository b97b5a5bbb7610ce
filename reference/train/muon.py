"""Muon (Jordan et al., 2024): momentum whose matrices are made near orthogonal by a Newton-Schulz iteration, and AdamW
for all that is not a hidden matrix. Matrices of one shape are iterated together, which is what small ones need."""

from collections import defaultdict

import torch
from torch import Tensor, nn

# Quintic that drives singular values of (0, 1] towards 1; published with the method.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrices: Tensor, steps: int = 4) -> Tensor:
    """(n, rows, columns), each made near orthogonal."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.mT if is_tall else x


class Muon:
    """Call `step(scale)` after backward; `scale` is the schedule's share of both rates."""

    def __init__(self, model: nn.Module, is_hidden, muon_rate: float, adam_rate: float, decay: float):
        named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        rest = []
        for name, each in named:
            if each.ndim == 2 and is_hidden(name):
                self.groups[tuple(each.shape)].append(each)
            else:
                rest.append(each)
        self.momenta = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}
        self.muon_rate, self.adam_rate, self.decay = muon_rate, adam_rate, decay
        self.adam = torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.98), weight_decay=decay, foreach=True)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for shape, group in self.groups.items():
            used = [i for i, each in enumerate(group) if each.grad is not None]
            if not used:
                continue
            grads = torch.stack([group[i].grad for i in used])
            momentum = self.momenta[shape]
            momentum[used] = momentum[used].lerp(grads, 0.05)
            updates = orthogonal(grads.lerp(momentum[used], 0.95))
            rate = self.muon_rate * scale * max(1, shape[0] / shape[1]) ** 0.5
            for i, update in zip(used, updates):
                group[i].mul_(1 - self.muon_rate * scale * self.decay).add_(update, alpha=-rate)
        for group in self.adam.param_groups:
            group["lr"] = self.adam_rate * scale
        self.adam.step()

    def zero_grad(self) -> None:
        for group in self.groups.values():
            for each in group:
                each.grad = None
        self.adam.zero_grad()

    def state_dict(self) -> dict:
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.momenta = state["momenta"]
        self.adam.load_state_dict(state["adam"])
