"""The operations of a function of tensors, written down in the order in which they run.

`make_fx` of torch does this, too, and describes the result of every operation by a fake tensor: with it a recording of
an update takes ten times as long as with this.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode


class Trace(TorchDispatchMode):
    """The graph of a function that was called once; its first inputs are the tensors that the function closes over.

    The operations of autograd are in it as all others. `tensors` has the tensor of each node of that one call.

    >>> weight = torch.ones(2)
    >>> trace = Trace(lambda x: {"product": weight * x}, torch.tensor([3.0, 4.0]))
    >>> [node.name for node in trace.graph.nodes]
    ['constant_0', 'input_0', 'mul_tensor', 'output']
    >>> trace.constants, list(trace.tensors.values())
    ([constant_0], [tensor([3., 4.]), tensor([1., 1.]), tensor([3., 4.])])

    Args:
        function: takes tensors, and returns tensors by name.
        inputs: for the call.

    Raises:
        ValueError: the function takes a number out of a tensor, so that it does not do the same in every call.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]], *inputs: Tensor) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.constants: list[fx.Node] = []
        self.tensors: dict[fx.Node, Tensor] = {}  # kept alive, so that no two of them have the same `id`
        self._nodes: dict[int, fx.Node] = {}
        for number, tensor in enumerate(inputs):
            self._remember(tensor, self.graph.placeholder(f"input_{number}"))
        self._first = next(iter(self.graph.nodes))
        with self:
            outputs = function(*inputs)
        self.graph.output({name: self._node(tensor) for name, tensor in outputs.items()})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.data_dependent_output in func.tags:
            raise ValueError(f"{func} takes a number out of a tensor")
        kwargs = kwargs or {}
        node = self.graph.call_function(func, *map_aggregate((args, kwargs), self._node))
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            self._remember(result, node)
        elif isinstance(result, list | tuple):
            for number, each in enumerate(result):
                if isinstance(each, Tensor):
                    self._remember(each, self.graph.call_function(operator.getitem, (node, number)))
        return result

    def _node(self, value: Any) -> Any:
        """The node of a tensor, a new one if it comes from outside; other values as they are."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._nodes:
            with self.graph.inserting_before(self._first):
                node = self.graph.placeholder(f"constant_{len(self.constants)}")
            self.constants.append(node)
            self._remember(value, node)
        return self._nodes[id(value)]

    def _remember(self, tensor: Tensor, node: fx.Node) -> None:
        if id(tensor) not in self._nodes:  # else it was changed in place
            self._nodes[id(tensor)], self.tensors[node] = node, tensor
