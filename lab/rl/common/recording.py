"""An update recorded once, operation by operation, and replayed from then on: the same numbers in half of the time.

An update of (64, 64) networks is some 200 operations of a few microseconds each, and most of its time goes to what
stands around them: autograd's graph, modules, views of weights that are always the same. `make_fx` writes down which
operations an update runs, those of its gradients included, and a recording runs the list. As they are the same
operations in the same order, the numbers are the same to the bit; recording takes 0.2 to 0.4 s, and compiling 20.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves

from lab.rl.common.cuda_graph import CudaGraph

Update = Callable[..., dict[str, Tensor]]
Key = tuple[Any, ...]

RECORD_FROM = 1_000  # updates: from here on the time that is saved is more than recording takes
FIRST_CALLS = 20  # of an update with these flags and shapes, before it is worth recording
GENERATORS = ("generator", "generator of the GPU")  # beside the names of tensors

_aten = torch.ops.aten
_SAME = (_aten.detach.default, _aten.alias.default)  # they return their argument
# operations that torch's own functions and methods call in half of the time that an operator of `torch.ops` takes
# fmt: off
_FUNCTIONS = frozenset((
    "abs", "add", "addmm", "amin", "argmax", "baddbmm", "bitwise_not", "bmm", "cat", "clamp", "div", "exp", "gather",
    "log", "maximum", "mean", "minimum", "mm", "mul", "neg", "relu", "relu_", "select", "sigmoid", "sqrt", "squeeze",
    "stack", "sub", "sum", "t", "tanh", "transpose", "unsqueeze", "where",
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
        recorded = make_fx(function)(*inputs)
        _shorten(recorded.graph)
        constants = _bind_constants(recorded)
        for node in recorded.graph.nodes:
            _hasten(node)
        recorded.recompile()
        self.memory = {_memory(constant) for constant in constants}
        self.forward = partial(recorded.forward, *constants)

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode(), torch.autocast(inputs[0].device.type, enabled=False):
            result: dict[str, Tensor] = self.forward(*inputs)
            return result

    def uses(self, memory: int) -> bool:
        """Whether it reads or writes a tensor in this memory."""
        return memory in self.memory


def _shorten(graph: fx.Graph) -> None:
    """Leaves out operations that return what they are given, and transposing what was only just transposed."""
    for node in list(graph.nodes):
        source: Any = node.args[0] if node.args else None
        if node.target is _aten.t.default and source.target is _aten.t.default:
            node.replace_all_uses_with(source.args[0])
        elif node.target in _SAME:
            node.replace_all_uses_with(source)
    graph.eliminate_dead_code()


def _bind_constants(recorded: fx.GraphModule) -> list[Tensor]:
    """Makes the tensors that a function closes over, and views of them, its first inputs; returns them.

    A view of a weight shares its memory, whatever is written there, so that it is made once and not in every call.
    """
    graph = recorded.graph
    values: dict[fx.Node, Tensor] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            values[node] = getattr(recorded, node.target).detach()
        elif node.op == "call_function" and node.all_input_nodes and not node.is_impure():
            source = node.all_input_nodes[0]
            if node.all_input_nodes == [source] == [node.args[0]] and source in values:
                view = node.target(values[source], *node.args[1:], **node.kwargs)
                if isinstance(view, Tensor) and _memory(view) == _memory(values[source]):
                    values[node] = view
    kept: dict[tuple[Any, ...], tuple[fx.Node, Tensor]] = {}
    start = next(iter(graph.nodes))
    for node, value in values.items():
        place = (value.data_ptr(), value.shape, value.stride(), value.dtype)
        if place not in kept:
            with graph.inserting_before(start):
                kept[place] = graph.placeholder(f"constant_{len(kept)}"), value
        node.replace_all_uses_with(kept[place][0])
    graph.eliminate_dead_code()
    return [value for _, value in kept.values()]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _hasten(node: fx.Node) -> None:
    """Calls an operation by torch's own function or method of that name."""
    if node.op == "call_function" and str(node.target).startswith("aten."):
        name = str(node.target).split(".")[1]
        if name in _FUNCTIONS:
            node.target = getattr(torch, name)
        elif name in _METHODS:
            node.target = getattr(Tensor, name)


class Recorder:
    """An agent's update: eager at first, and from a recording as soon as one has shown that it gives the same numbers.

    On the CPU a recording is a `Recording`, on a GPU a `CudaGraph`.
    There is one recording for each combination of flags and of the inputs' shapes. It is used if, on another batch than
    the one it was recorded on, it leaves all weights and the optimizer's state as the eager update does, to the bit;
    else that update stays eager. Updates that are to `measure` are few, and stay eager, too.

    Args:
        module: the agent. The numbers among its attributes are part of a recording, which ends where one changes.
        update: its eager update.
    """

    def __init__(self, module: nn.Module, update: Update) -> None:
        self.module, self.eager = module, update
        self.first_calls = FIRST_CALLS
        self.state: Sequence[Any] | None = None  # of the optimizer, in the present block
        self.numbers: dict[str, float] = {}
        self._forget()

    def __call__(self, state: Sequence[Any], *batch: Any, **flags: bool) -> dict[str, Tensor]:
        if state is not self.state:
            self.state = state
            self._check()
        key = (*flags.items(), *((each.shape, each.dtype) for each in batch if isinstance(each, Tensor)))
        if key in self.proven:
            return self.recordings[key](*batch)
        self.calls[key] += 1
        if self.calls[key] < self.first_calls or flags.get("measure") or key in self.refused:
            return self.eager(state, *batch, **flags)
        return self._rehearse(key, state, batch, flags)

    def _rehearse(
        self, key: Key, state: Sequence[Any], batch: Sequence[Any], flags: Mapping[str, bool]
    ) -> dict[str, Tensor]:
        """The eager update; before it the same is recorded, or done by the recording that there is, and undone."""
        before, recording, replayed = self._copies(), self.recordings.get(key), None
        try:
            if recording is None:
                record = CudaGraph if batch[0].is_cuda else Recording
                recording = self.recordings[key] = record(lambda *inputs: self.eager(state, *inputs, **flags), *batch)
                self.used |= {place for place in self._places() if recording.uses(place[1])}
            else:
                replayed = recording(*batch) | self._copies()
        except Exception:  # of an update that is more than operations on tensors
            self.refused.add(key)
        for name, tensor in self._tensors():
            tensor.data.copy_(before[name])
        _set_generators([before[name] for name in GENERATORS if name in before])
        result = self.eager(state, *batch, **flags)
        if replayed is not None:
            expected = result | self._copies()
            same = all(torch.equal(replayed[name], value) for name, value in expected.items())
            (self.proven if same else self.refused).add(key)
        return result

    def _check(self) -> None:
        """Forgets all recordings if a tensor that they use was replaced, or a number of the agent has changed."""
        numbers = {
            name: value
            for name, value in vars(self.module).items()
            if isinstance(value, int | float) and name[0] != "_" and name != "env_steps"
        }
        if numbers != self.numbers or not self.used <= set(self._places()):
            if self.recordings:
                self.first_calls *= 10  # else an agent that changes in every block would be recorded in every block
            self.numbers = numbers
            self._forget()

    def _forget(self) -> None:
        self.calls: Counter[Key] = Counter()
        self.recordings: dict[Key, Recording | CudaGraph] = {}
        self.proven: set[Key] = set()
        self.refused: set[Key] = set()
        # the tensors of the agent and the optimizer that recordings use, by name and place in memory
        self.used: set[tuple[str, int]] = set()

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All that an update may change, by name: weights, buffers, the optimizer's state."""
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()
        leaves = (leaf for leaf in tree_leaves(self.state) if isinstance(leaf, Tensor))
        yield from ((f"state {number}", leaf) for number, leaf in enumerate(leaves))

    def _places(self) -> Iterator[tuple[str, int]]:
        return ((name, _memory(tensor)) for name, tensor in self._tensors())

    def _copies(self) -> dict[str, Tensor]:
        copies = {name: tensor.detach().clone() for name, tensor in self._tensors()}
        return copies | dict(zip(GENERATORS, _generators(), strict=False))


def _generators() -> list[Tensor]:
    """The states of torch's generators: that of the CPU, and that of the GPU once there is one."""
    on_gpu = [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *on_gpu]


def _set_generators(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
