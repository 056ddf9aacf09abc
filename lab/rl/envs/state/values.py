"""Values of attributes as plain ones, for `snapshot.py`, and back."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from lab.rl.envs.flattening import Flattening
from lab.rl.envs.state.plain import (
    Mismatch,
    State,
    Unstorable,
    class_name,
    is_emulator,
    is_mujoco_data,
    is_ordinary,
    pack_array,
    pack_mujoco,
    unpack_array,
)

Environment = gym.Env[Any, Any]

PLAIN = (type(None), bool, int, float, str)
# what a new environment has of its own
FIXED = (
    gym.Space, EnvSpec, type, ModuleType, FunctionType, BuiltinFunctionType, functools.partial, np.dtype,
    logging.Logger, PurePath, Flattening,
)  # fmt: skip
GENERATORS = {
    kind.__name__: kind
    for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)
}
FIXED_PACKAGES = ("mujoco", "pygame", "ale_py")
FIXED_MODULES = ("gymnasium.envs.mujoco.mujoco_rendering", "lab.rl.envs.state.recording")
MOST_PARTS = 100  # more, such as a landscape's, take longer to write down than the reset that makes them
ARGUMENTS = ("_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs")  # of the constructor, which the recipe gives again


class Writer:
    """Makes values plain. What can be changed is numbered: it is written once, however many names it has."""

    def __init__(self, layers: Sequence[Environment], partly: bool = False) -> None:
        self.layers, self.partly, self.parts = layers, partly, 0
        self.numbered: dict[int, tuple[int, Any]] = {}  # the value is held, so that its id stays its own
        self.arrays: list[np.ndarray] = []

    def attributes(self, owner: Any) -> State:
        return {name: self.value(value, owned=True) for name, value in self.named(owner)}

    def readable(self, owner: Any) -> State:
        """The same, without those that cannot be kept or have more than `MOST_PARTS`."""
        found: State = {}
        for name, value in self.named(owner):
            self.parts, things, arrays = 0, len(self.numbered), len(self.arrays)
            try:
                found[name] = self.value(value, owned=True)
            except Unstorable:  # the parts of it that were numbered are not written
                while len(self.numbered) > things:
                    self.numbered.popitem()
                del self.arrays[arrays:]
        return found

    def named(self, owner: Any) -> Iterator[tuple[str, Any]]:
        for name, value in vars(owner).items():
            if name not in ARGUMENTS and not self.fixed(value):
                yield name, value

    def fixed(self, value: Any) -> bool:
        owner = value.__self__ if isinstance(value, MethodType) else value
        module = getattr(type(value), "__module__", "")  # some types of Box2D have none
        return (
            isinstance(value, FIXED)
            or any(owner is layer for layer in self.layers)
            or (module.partition(".")[0] in FIXED_PACKAGES and not is_mujoco_data(value) and not is_emulator(value))
            or module in FIXED_MODULES
            or (type(value) is list and value != [] and all(self.fixed(item) for item in value))
            or (type(value) is dict and value != {} and all(self.fixed(item) for item in value.values()))
        )

    def value(self, value: Any, owned: bool = False) -> Any:
        """`owned`: it is an attribute, so that the restored owner has one of the same class."""
        self.parts += 1
        if self.partly and self.parts > MOST_PARTS:
            raise Unstorable
        if type(value) in PLAIN:
            return value
        if type(value) is bytes:  # `torch.load(weights_only=True)` refuses empty ones
            return {"kind": "bytes", "text": value.decode("latin-1")}
        if isinstance(value, np.generic):
            return {"kind": "number", **pack_array(np.asarray(value))}
        if type(value) is tuple:
            return {"kind": "tuple", "items": [self.value(item) for item in value]}
        if id(value) in self.numbered:
            return {"kind": "same", "number": self.numbered[id(value)][0]}
        number = len(self.numbered)
        self.numbered[id(value)] = number, value
        return {"number": number, **self.changeable(value, owned)}

    def changeable(self, value: Any, owned: bool) -> State:
        kind = type(value)
        if kind is np.ndarray:
            return {"kind": "array", **self.array(value)}
        if kind is np.random.Generator and type(value.bit_generator).__name__ in GENERATORS:
            bits = value.bit_generator
            return {"kind": "generator", "class": type(bits).__name__, "state": self.value(bits.state)}
        if kind in (list, set):  # the restored owner's list has objects of the same classes, else its episode restarts
            return {"kind": kind.__name__, "items": [self.value(item, owned and kind is list) for item in value]}
        if kind is deque:
            return {"kind": "deque", "items": [self.value(item) for item in value], "length": value.maxlen}
        if kind is dict:
            return {"kind": "dict", "items": [[self.value(key), self.value(item)] for key, item in value.items()]}
        if owned and is_mujoco_data(value):
            return {"kind": "mujoco", **pack_mujoco(value)}
        # with sticky actions the next frame depends on the one before, which the emulator does not write down
        if owned and is_emulator(value) and (self.partly or not value.getFloat("repeat_action_probability")):
            return {"kind": "emulator", "state": self.value(value.cloneSystemState().serialize())}
        if owned and is_ordinary(value):
            return {"kind": "object", "class": class_name(value), "holds": self.attributes(value)}
        raise Unstorable

    def array(self, value: np.ndarray) -> State:
        memory: Any = value
        while isinstance(memory, np.ndarray):
            memory = memory.base
        if memory is not None or any(np.may_share_memory(value, other) for other in self.arrays):
            raise Unstorable  # a copy would not follow the memory it is a view of
        self.arrays.append(value)
        return pack_array(value)


class Reader:
    """Makes values from what a `Writer` wrote. `live` is what the restored owner has in that place."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}
        self.memory: list[tuple[np.ndarray, np.ndarray]] = []  # written when all the rest is known to fit
        self.scalars: list[tuple[Any, State]] = []
        self.games: list[tuple[Any, bytes]] = []

    def write(self) -> None:
        """Writes what lies in memory of others."""
        for target, value in self.memory:
            np.copyto(target, value)
        for data, values in self.scalars:
            for name, value in values.items():
                setattr(data, name, value)
        for game, written in self.games:
            game.restoreSystemState(type(game.cloneSystemState())(written))

    def attributes(self, owner: Any, saved: State) -> State:
        return {name: self.value(value, getattr(owner, name, None)) for name, value in saved.items()}

    def value(self, saved: Any, live: Any = None) -> Any:
        if not isinstance(saved, dict):
            return saved
        match saved["kind"]:
            case "bytes":
                return saved["text"].encode("latin-1")
            case "number":
                return unpack_array(saved)[()]
            case "tuple":
                return tuple(self.value(item) for item in saved["items"])
            case "same":
                return self.made[saved["number"]]
        made = self.made[saved["number"]] = self.empty(saved, live)
        match saved["kind"]:
            case "generator":
                made.bit_generator.state = self.value(saved["state"])
            case "list":
                there = live[: len(saved["items"])] if type(live) is list else []
                made.extend(self.value(item, one) for item, one in zip_longest(saved["items"], there))
            case "deque":
                made.extend(self.value(item) for item in saved["items"])
            case "set":
                made.update(self.value(item) for item in saved["items"])
            case "dict":
                made.update((self.value(key), self.value(item)) for key, item in saved["items"])
            case "object":
                vars(made).update(vars(live) | self.attributes(live, saved["holds"]))
        return made

    def empty(self, saved: State, live: Any) -> Any:
        """The thing itself, there before what it holds, because that may hold it in turn."""
        match saved["kind"]:
            case "array":
                return unpack_array(saved)
            case "generator":
                return np.random.Generator(GENERATORS[saved["class"]]())
            case "deque":
                return deque(maxlen=saved["length"])
            case "mujoco":
                self.mujoco(saved, live)
                return live
            case "emulator":
                if not is_emulator(live):
                    raise Mismatch(f"expected an emulator, found a {class_name(live)}")
                self.games.append((live, self.value(saved["state"])))
                return live
            case "object":
                if class_name(live) != saved["class"] or not is_ordinary(live):
                    raise Mismatch(f"expected a {saved['class']}, found a {class_name(live)}")
                return object.__new__(type(live))
        return {"list": list, "set": set, "dict": dict}[saved["kind"]]()

    def mujoco(self, saved: State, live: Any) -> None:
        for name, array in saved["arrays"].items():
            target, value = getattr(live, name, None), unpack_array(array)
            if not isinstance(target, np.ndarray) or (target.shape, target.dtype) != (value.shape, value.dtype):
                raise Mismatch(f"MuJoCo's {name} has another shape")
            self.memory.append((target, value))
        self.scalars.append((live, saved["scalars"]))
