"""An agent's update, recorded as soon as a recording has shown that it gives the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lab.rl.recording.agent_state import AgentState
from lab.rl.recording.cuda_graph import CudaGraph
from lab.rl.recording.recording import Recording, memory

Update = Callable[..., dict[str, Tensor]]
Key = tuple[Any, ...]

RECORD_FROM = 200  # updates: from here on the time that is saved is more than recording takes
FIRST_CALLS = 20  # of an update with these flags and shapes, before it is worth recording


class Recorder:
    """An agent's update: eager at first, and from a recording as soon as one has shown that it gives the same numbers.

    On the CPU a recording is a `Recording`, on a GPU a `CudaGraph`.
    There is one recording for each combination of flags and of the inputs' shapes. It is used if, on another batch than
    the one it was recorded on, it leaves all weights and the optimizer's state as the eager update does, to the bit;
    else that update stays eager.

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
        if self.calls[key] < self.first_calls or key in self.refused:
            return self.eager(state, *batch, **flags)
        return self._rehearse(key, state, batch, flags)

    def _rehearse(
        self, key: Key, state: Sequence[Any], batch: Sequence[Any], flags: Mapping[str, bool]
    ) -> dict[str, Tensor]:
        """The eager update; before it the same is recorded, or done by the recording that there is, and undone."""
        agent = self._agent()
        before, recording, replayed = agent.copies(), self.recordings.get(key), None
        try:
            if recording is None:
                record = CudaGraph if batch[0].is_cuda else Recording
                recording = self.recordings[key] = record(lambda *inputs: self.eager(state, *inputs, **flags), *batch)
                self.used |= {place for place in self._places() if recording.uses(place[1])}
            else:
                replayed = recording(*batch) | agent.copies()
        except Exception:  # of an update that is more than operations on tensors
            self.refused.add(key)
        agent.restore(before)
        result = self.eager(state, *batch, **flags)
        if replayed is not None:
            expected = result | agent.copies()
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

    def _agent(self) -> AgentState:
        return AgentState(self.module, self.state)

    def _places(self) -> Iterator[tuple[str, int]]:
        return ((name, memory(tensor)) for name, tensor in self._agent().tensors())
