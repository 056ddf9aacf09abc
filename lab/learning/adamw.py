"""torch's fused AdamW, without finding out in every step what is the same in every step.

A step of torch's own class sorts parameters by device and type, asks whether a graph is being captured and lets the
compiler break its graph twice. For a small network that takes nearly as long as the kernel, which is the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
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

    # gathered once and not for every step, anew in a copy: the averages, averages of squares and steps of each group
    _moments: Sequence[list[list[Tensor]]] = ()
    _gathered: Sequence[tuple[int, Any]] = ()  # from how many parameters, and what state the last of them had

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay, fused=True)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [[p.grad for p in group["params"]] for group in self.param_groups]
        if not self._ready() or any(gradient is None for those in gradients for gradient in those):
            whole: Any = super().step
            if hasattr(whole, "hooked"):  # since there was one of torch's own, and hooks are around this step already
                whole = partial(whole.__wrapped__, self)
            whole()
            return loss
        with torch.no_grad():
            for group, those, moments in zip(self.param_groups, gradients, self._moments, strict=True):
                averages, squares, steps = moments
                torch._foreach_add_(steps, 1)
                torch._fused_adamw_(
                    group["params"], those, averages, squares, [], steps,
                    lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1], eps=group["eps"],
                    weight_decay=group["weight_decay"], amsgrad=False, maximize=False,
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

    def _ready(self) -> bool:
        """Whether one call of the kernel for each group is all that they need, with the moments as they were gathered.

        A state that was loaded or moved is another one.
        """
        if getattr(self, "grad_scale", None) is not None:
            return False
        last = [(len(group["params"]), self.state.get(group["params"][-1])) for group in self.param_groups]
        if len(last) == len(self._gathered) and all(
            count == known and state is same for (count, state), (known, same) in zip(last, self._gathered, strict=True)
        ):
            return True
        self._gathered, moments = (), []
        for group in self.param_groups:
            parameters = group["params"]
            kinds = {(p.device, p.dtype) for p in parameters}
            if len(kinds) > 1 or not all(self.state.get(p) for p in parameters):
                return False
            states = [self.state[p] for p in parameters]
            moments.append([[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")])
        self._gathered, self._moments = last, moments
        return True
