"""Snapshots of a Gymnasium environment in the middle of an episode, as plain values and tensors.

The state of an environment lies in its attributes and in those of its wrappers. Numbers, texts, arrays,
generators, the usual containers and ordinary Python objects made of them are kept; spaces, models, windows and
functions are taken to stay as they are made; a MuJoCo simulation is kept as the memory of its `MjData`, because
observations and rewards are read from much more than positions and velocities, and an Atari game as its emulator writes
it down. What else lies behind the interface of a library written in another language cannot be kept: then there is no
snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import gymnasium as gym

from lab.rl.envs.state.plain import Mismatch, State, Unstorable, class_name
from lab.rl.envs.state.values import Environment, Reader, Writer

UNREAD = "parts of it cannot be kept"


def take(env: Environment) -> State | None:
    """All that decides how the episode goes on, and the ones after it; None if some of it cannot be kept."""
    chain = list(layers(env))
    try:
        return {"layers": holdings(chain, chain)}
    except Unstorable:
        return None


def unstorable(env: Environment) -> Iterator[tuple[Environment, str]]:
    """The wrappers around an environment that cannot be kept, each with the first of its attributes that is why."""
    *wrappers, inside = layers(env)
    for wrapper in wrappers:
        for name, value in vars(wrapper).items():
            writer = Writer([*wrappers, inside])
            try:
                writer.attributes(SimpleNamespace(**{name: value}))
            except Unstorable:
                yield wrapper, name
                break


def restore(env: Environment, state: State | None) -> None:
    """Puts `env`, made in the same way, where the one was that `state` was taken from.

    Raises:
        Mismatch: there is no snapshot, or the environment was made in another way; its episode has to start anew.
    """
    if state is None:
        raise Mismatch(UNREAD)
    env.reset()  # what only a reset makes has to be there
    put(list(layers(env)), state["layers"])


def holdings(chain: Sequence[Environment], owners: Sequence[Environment], partly: bool = False) -> list[State]:
    """The attributes of some layers, for `put`.

    Args:
        chain: all layers of the environment.
        owners: those that are asked.
        partly: whether to leave out what cannot be kept, and take an emulator without the action that it may repeat.

    Raises:
        Unstorable: an attribute cannot be kept.
    """
    writer = Writer(chain, partly)
    ask = writer.readable if partly else writer.attributes
    return [{"class": class_name(layer), "holds": ask(layer)} for layer in owners]


def put(owners: Sequence[Environment], saved: Sequence[State]) -> None:
    """The counterpart of `holdings`.

    Raises:
        Mismatch: these are other layers, or have other parts; none is changed.
    """
    reader = Reader()
    if [class_name(layer) for layer in owners] != [layer["class"] for layer in saved]:
        raise Mismatch(f"the snapshot is not of {owners[0]}")
    found = [reader.attributes(layer, held["holds"]) for layer, held in zip(owners, saved, strict=True)]
    for layer, values in zip(owners, found, strict=True):
        vars(layer).update(values)
    reader.write()


def generator(env: Environment) -> State | None:
    """The environment's own generator, if it is NumPy's; enough to start a next episode with the same numbers."""
    try:
        saved: State = Writer([]).value(env.unwrapped.np_random)
    except Unstorable:
        return None
    return saved


def set_generator(env: Environment, state: State | None) -> None:
    """The counterpart of `generator`."""
    if state is not None:
        env.unwrapped.np_random = Reader().value(state)


def layers(env: Environment) -> Iterator[Environment]:
    """The wrappers from the outside in, then the environment itself."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env
    yield env
