"""An update recorded once, operation by operation, and replayed from then on: the same numbers in half of the time.

An update of (64, 64) networks is some 200 operations of a few microseconds each, and most of its time goes to what
stands around them: autograd's graph, modules, views of weights that are always the same. A `Trace` is a list of the
operations that an update runs, those of its gradients included, and a recording runs the list. As they are the same
operations in the same order, the numbers are the same to the bit; recording takes 10 to 20 ms, compiling 10 to 20 s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from lab.rl.recording.tracing import Trace

_aten = torch.ops.aten
_SAME = (_aten.detach.default, _aten.alias.default)  # they return their argument
_FILLS = (  # their result depends on shapes alone
    _aten.full.default, _aten.full_like.default, _aten.new_zeros.default, _aten.ones.default, _aten.ones_like.default,
    _aten.scalar_tensor.default, _aten.zeros.default, _aten.zeros_like.default,
)  # fmt: skip
# operations that torch's own functions and methods call in half of the time that an operator of `torch.ops` takes
# fmt: off
_FUNCTIONS = frozenset((
    "_foreach_mul_", "_foreach_norm", "_fused_adam_", "_log_softmax", "abs", "add", "addmm", "amin", "argmax",
    "baddbmm", "bitwise_not", "bmm", "cat", "clamp", "div", "eq", "exp", "gather", "gt", "le", "log", "logical_and",
    "lt", "masked_fill", "maximum", "mean", "minimum", "mm", "mul", "neg", "reciprocal", "relu", "relu_", "scatter_add",
    "select", "sigmoid", "sqrt", "squeeze", "stack", "std", "sub", "sum", "t", "tanh", "transpose", "unsqueeze",
    "where",
))
# fmt: on
_METHODS = frozenset(("add_", "clamp_", "div_", "expand", "mul_", "view"))


class Recording:
    """A function of tensors as a list of operations; all other tensors that it uses have to stay where they are.

    >>> weight = torch.ones(2, requires_grad=True)
    >>> slope = Recording(lambda x: {"slope": torch.autograd.grad((weight * x).sum(), weight)[0]}, torch.ones(2))
    >>> slope(torch.tensor([3.0, 4.0]))
    {'slope': tensor([3., 4.])}

    Args:
        function: what is recorded; it is called once.
        inputs: for that call.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]], *inputs: Tensor) -> None:
        trace = Trace(function, *inputs)
        _shorten(trace)
        constants = _bind_constants(trace)
        for node in trace.graph.nodes:
            _hasten(node)
        recorded = fx.GraphModule({}, trace.graph)
        self.memory = {memory(constant) for constant in constants}
        self.forward = partial(recorded.forward, *constants)

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        device = inputs[0].device.type
        if torch.is_autocast_enabled(device):  # what it casts is in the recording
            with torch.autocast(device, enabled=False):
                return self(*inputs)
        with torch.inference_mode():
            result: dict[str, Tensor] = self.forward(*inputs)
            return result

    def uses(self, memory: int) -> bool:
        """Whether it reads or writes a tensor in this memory."""
        return memory in self.memory


def _shorten(trace: Trace) -> None:
    """Leaves out operations that return what they are given, or only take back what the one before them did."""
    for node in list(trace.graph.nodes):
        source: Any = node.args[0] if node.args else None
        if node.target is _aten.t.default and source.target is _aten.t.default:
            node.replace_all_uses_with(source.args[0])
        elif node.target in _SAME:
            node.replace_all_uses_with(source)
        elif _takes_back_a_dimension(node, trace):
            source.args = source.args[:2]
            node.replace_all_uses_with(source)
    trace.graph.eliminate_dead_code()


def _takes_back_a_dimension(node: fx.Node, trace: Trace) -> bool:
    """Whether it only removes the first dimension, which a sum over it has kept, as in the gradient of a bias."""
    source: Any = node.args[0] if node.args else None
    if node.target is not _aten.view.default or source.target is not _aten.sum.dim_IntList:
        return False
    is_kept = source.args[1:] == ([0], True) and node.args[1] == list(trace.tensors[source].shape[1:])
    return bool(is_kept and len(source.users) == 1)


def _bind_constants(trace: Trace) -> list[Tensor]:
    """Makes all that stays the same the first inputs of a graph; returns it.

    These are the tensors that a function closes over; views of them, which share their memory, whatever is written
    there; and what is computed from the shapes of tensors alone, as the gradient of a mean is.
    """
    graph, written = trace.graph, _written(trace.graph)
    values = {node: trace.tensors[node].detach() for node in trace.constants}
    fixed: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op != "call_function" or node.is_impure() or node not in trace.tensors:
            continue
        inputs, tensor = node.all_input_nodes, trace.tensors[node].detach()
        if node not in written and (node.target in _FILLS or (inputs and fixed.issuperset(inputs) and _is_exact(node))):
            fixed.add(node)
            values[node] = tensor
        elif len(inputs) == 1 and inputs[0] in values and memory(tensor) == memory(values[inputs[0]]):
            values[node] = tensor
    kept: dict[tuple[Any, ...], tuple[fx.Node, Tensor]] = {}
    start = next(node for node in graph.nodes if node not in values)  # the first of the other inputs
    for node, value in values.items():
        place = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if place not in kept:
            with graph.inserting_before(start):
                kept[place] = graph.placeholder(f"bound_{len(kept)}"), value
        node.replace_all_uses_with(kept[place][0])
        if node.op == "placeholder":
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return [value for _, value in kept.values()]


def _written(graph: fx.Graph) -> set[fx.Node]:
    """The nodes whose memory is written, there or in a view of them."""
    written: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        schema = getattr(node.target, "_schema", None)
        is_view = schema is None or any(result.alias_info for result in schema.returns)
        if (schema is not None and schema.is_mutable) or (node in written and is_view):
            written.update(node.all_input_nodes)
    return written


def _is_exact(node: fx.Node) -> bool:
    """Whether an operation gives the same result every time."""
    return torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ())


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _hasten(node: fx.Node) -> None:
    """Calls an operation by torch's own function or method of that name."""
    if node.op == "call_function" and str(node.target).startswith("aten."):
        name = str(node.target).split(".")[1]
        if name in _FUNCTIONS:
            node.target = getattr(torch, name)
        elif name in _METHODS:
            node.target = getattr(Tensor, name)
