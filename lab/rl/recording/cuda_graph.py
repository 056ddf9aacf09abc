"""An update as a CUDA graph: all its kernels are launched by one call, without Python between them.

The kernels of an update of small networks take a few microseconds each, and to launch them one by one from Python takes
several times as long. A graph launches the same kernels on the same memory, so that the numbers stay the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class CudaGraph:
    """A function of tensors on a GPU, captured once and replayed; all other tensors that it uses have to stay where
    they are.

    Args:
        function: what is captured; it is called once, but what it does is not done. It may not wait for the GPU.
        inputs: as large as those of every later call.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]], *inputs: Tensor) -> None:
        self.inputs = [each.clone() for each in inputs]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = function(*self.inputs)

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return {name: output.clone() for name, output in self.outputs.items()}

    def uses(self, memory: int) -> bool:  # noqa: ARG002 - as `Recording` has it
        """Whether it reads or writes a tensor in this memory; which ones it does is not known, so that all count."""
        return True
