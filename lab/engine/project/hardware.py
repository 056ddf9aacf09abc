"""Accelerators that a machine does not have, and numbers of devices that cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lightning.pytorch.accelerators import AcceleratorRegistry

from lab.errors import suggestion

Refusal = tuple[str, str]  # a keyword of the Trainer, and what is wrong with it


def hardware(accelerator: Any, devices: Any) -> Iterator[Refusal]:
    """An accelerator that is not here, and numbers of devices that the CPU does not have."""
    kinds = {name: each["accelerator"] for name, each in AcceleratorRegistry.items()}
    here = [name for name, kind in kinds.items() if kind.is_available()]
    if isinstance(accelerator, str):
        known = ("auto", "gpu", *kinds)
        wanted = {"auto": here, "gpu": ["cuda", "mps"]}.get(accelerator, [accelerator])
        if accelerator not in known:
            yield "accelerator", f"there is no {accelerator!r}{suggestion(accelerator, known)}"
        elif not {*wanted} & {*here}:
            yield "accelerator", f"PyTorch finds no {accelerator} on this machine; set it to auto or {here[0]}"
    on_cpu = accelerator == "cpu" or (accelerator in (None, "auto") and here == ["cpu"])
    if on_cpu and devices not in (None, "auto") and not re.fullmatch("0*[1-9][0-9]*", str(devices)):
        yield "devices", f"expected a number of processes above 0 for the CPU, or auto, found {devices!r}"
