"""torch's optimizers by name, with weight decay for all parameters or for none of the biases and norms."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.learning.arguments import check_arguments

OptimizerName = Literal["sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax", "nadam", "lbfgs"]
OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "lbfgs": torch.optim.LBFGS,
}
ELSEWHERE = ("params", "lr", "weight_decay", "maximize", "foreach", "capturable", "differentiable", "fused")
FUSED = ("sgd", "adam", "adamw")  # one kernel for all parameters, on these devices
FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


def check_optimizer(name: str, lr: float, weight_decay: float, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The further arguments as the optimizer takes them.

    Args:
        name: of the optimizer.
        lr: learning rate.
        weight_decay: its weight decay; must be 0 for one that has none.
        arguments: further ones of the torch class, such as `momentum`.

    Raises:
        BadSetting: the optimizer refuses one of them.
    """
    kind: Any = OPTIMIZERS[name]
    found = check_arguments("optimizer_args", name, kind, arguments, ELSEWHERE)
    has_decay = "weight_decay" in inspect.signature(kind).parameters
    if weight_decay and not has_decay:
        raise BadSetting("weight_decay", f"{name} has no weight decay; set it to 0")
    try:
        kind([torch.zeros(1, requires_grad=True)], lr=lr, **_decay(name, weight_decay), **found)
    except (ValueError, TypeError) as error:
        raise BadSetting("optimizer_args", f"{name}: {error}") from None
    return found


def make_optimizer(
    name: str,
    module: nn.Module,
    lr: float,
    weight_decay: float,
    decay_norm_and_bias: bool = True,
    arguments: Mapping[str, Any] | None = None,
    fused: bool = True,
) -> torch.optim.Optimizer:
    """The optimizer of a module's parameters that require gradients.

    >>> type(make_optimizer("adagrad", nn.Linear(2, 1), lr=0.1, weight_decay=0.0)).__name__
    'Adagrad'

    Args:
        name: one of `OPTIMIZERS`.
        module: whose parameters are trained.
        lr: learning rate, above 0.
        weight_decay: from 0; decoupled in adamw, an L2 penalty in the others.
        decay_norm_and_bias: whether biases and the gains of norms decay too.
        arguments: further arguments of the torch class.
        fused: one kernel for all parameters, where the optimizer and the device have one.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    further = dict(arguments or {}) | _decay(name, weight_decay)
    sparse = any(isinstance(each, nn.Embedding) and each.sparse for each in module.modules())  # no kernel takes those
    if (
        fused
        and not sparse
        and name in FUSED
        and all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in trained)
    ):
        further["fused"] = True
    groups: list[Any] = trained
    if not decay_norm_and_bias and weight_decay:
        decayed = decayed_parameters(module, decay_norm_and_bias)
        chosen = {id(parameter) for parameter in decayed}
        spared = [parameter for parameter in trained if id(parameter) not in chosen]
        groups = [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    kind: Any = OPTIMIZERS[name]
    optimizer: torch.optim.Optimizer = kind(groups, lr=lr, **further)
    return optimizer


def decayed_parameters(module: nn.Module, decay_norm_and_bias: bool) -> list[Tensor]:
    """The trained parameters that weight decay and L1 pull to 0: all, or all of 2 or more dimensions but norms."""
    norms = {
        id(parameter)
        for each in module.modules()
        if isinstance(each, nn.LayerNorm | nn.RMSNorm)
        for parameter in each.parameters(recurse=False)
    }
    return [
        parameter
        for parameter in module.parameters()
        if parameter.requires_grad and (decay_norm_and_bias or (parameter.ndim >= 2 and id(parameter) not in norms))
    ]


def _decay(name: str, weight_decay: float) -> dict[str, float]:
    """The keyword for it; lbfgs has none."""
    return {} if name == "lbfgs" else {"weight_decay": weight_decay}
