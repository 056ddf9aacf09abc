"""torch's fused AdamW, without finding out in every step what is the same in every step.

A step of torch's own class sorts parameters by device and type, asks whether a graph is being captured and lets the
compiler break its graph twice. For a small network that takes nearly as long as the kernel, which is the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class AdamW(torch.optim.AdamW):
    """AdamW (Loshchilov and Hutter, 2019), betas (0.9, 0.999), eps 1e-8; its state is that of torch's own class.

    Args:
        parameters: what to train.
        lr: learning rate.
        weight_decay: decoupled weight decay.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        with torch.enable_grad():
            loss = None if closure is None else closure()
        known = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        if not all(self._ready(parameters) for parameters in known):
            super().step()
            return loss
        for group, parameters in zip(self.param_groups, known, strict=True):
            states = [self.state[p] for p in parameters]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters, [p.grad for p in parameters],
                [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states], [], steps,
                lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1], weight_decay=group["weight_decay"],
                eps=group["eps"], amsgrad=False, maximize=False,
            )  # fmt: skip
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As torch's own, which opens a record for the profiler before it forgets them."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _ready(self, parameters: list[Tensor]) -> bool:
        """Whether one call of the kernel is all that they need: they are of one kind, have moments, and no scaler."""
        kinds = {(p.device, p.dtype) for p in parameters}
        return len(kinds) == 1 and all(self.state[p] for p in parameters) and getattr(self, "grad_scale", None) is None
