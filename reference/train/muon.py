"""Muon (Jordan et al., 2024): momentum whose matrices are made near orthogonal by a Newton-Schulz iteration, and AdamW
for all that is not a hidden matrix. Matrices of one shape are iterated together, which is what small ones need."""

from collections import defaultdict

import torch
from torch import Tensor, nn

# Quintic that drives singular values of (0, 1] towards 1; published with the method.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrices: Tensor, steps: int = 4) -> Tensor:
    """(n, rows, columns) float32, each made near orthogonal. A GPU multiplies in bfloat16, which the quintic forgives."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if x.is_cuda:
        x = x.bfloat16()
    for _ in range(steps):
        square = x @ x.mT
        polynomial = torch.baddbmm(square, square, square, beta=_B, alpha=_C)
        x = torch.baddbmm(x, polynomial, x, beta=_A)
    x = x.mT if is_tall else x
    return x.to(matrices.dtype, memory_format=torch.contiguous_format)


class Muon:
    """Call `step(scale)` after backward; `scale` is the schedule's share of both rates. The model must already be where
    it trains. A step launches some twenty kernels for each shape of matrix, however many matrices have that shape."""

    def __init__(self, model: nn.Module, is_hidden, muon_rate: float, adam_rate: float, decay: float):
        named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        rest = []
        for name, each in named:
            if each.ndim == 2 and is_hidden(name):
                self.groups[tuple(each.shape)].append(each)
            else:
                rest.append(each)
        self.momenta = {
            shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.groups.items()
        }
        self.muon_rate, self.adam_rate, self.decay = muon_rate, adam_rate, decay
        kind = {"fused": True} if all(each.is_cuda for each in rest) else {"foreach": True}
        self.adam = torch.optim.AdamW(rest, lr=adam_rate, betas=(0.9, 0.98), weight_decay=decay, **kind)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        # Called beside an autocast region or within one: the update is not for autocast to touch.
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            for shape in self.groups:
                self._step_matrices(shape, scale)
        for group in self.adam.param_groups:
            group["lr"] = self.adam_rate * scale
        self.adam.step()

    def _step_matrices(self, shape: tuple[int, ...], scale: float) -> None:
        group, momentum = self.groups[shape], self.momenta[shape]
        used = [i for i, each in enumerate(group) if each.grad is not None]
        if not used:
            return
        weights = [group[i] for i in used]
        grads = torch.stack([each.grad for each in weights]).to(momentum.dtype)
        if len(used) == len(group):
            momentum.lerp_(grads, 0.05)
        else:
            index = torch.tensor(used, device=momentum.device)
            whole, momentum = momentum, momentum[index].lerp_(grads, 0.05)
            whole[index] = momentum
        updates = orthogonal(grads.lerp(momentum, 0.95))
        rate = self.muon_rate * scale * max(1, shape[0] / shape[1]) ** 0.5
        torch._foreach_mul_(weights, 1 - self.muon_rate * scale * self.decay)
        torch._foreach_add_(weights, updates.unbind(0), alpha=-rate)

    def zero_grad(self) -> None:
        for group in self.groups.values():
            for each in group:
                each.grad = None
        self.adam.zero_grad()

    def state_dict(self) -> dict:
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Takes a state that was saved on any device."""
        for shape, momentum in self.momenta.items():
            momentum.copy_(state["momenta"][shape])
        self.adam.load_state_dict(state["adam"])
