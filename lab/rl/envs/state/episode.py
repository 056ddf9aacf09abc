"""The way back into the middle of an episode: by reading the environment, or else by playing the episode again.

Where the simulator cannot be read, its readable attributes get the values that they had before the episode, the
environment is reset, and the actions since then are played. That leads back where nothing else decides the episode, as
in an environment whose only random numbers are of generators among these attributes. So the last observation, the sum
of the rewards and the readable attributes, generators among them, have to be the same to the last bit; what else is
hidden in the simulator cannot be compared.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from lab.errors import one_line
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import Mismatch, State, Unstorable, alike, pack_array, unpack_array
from lab.rl.envs.state.recording import MOST_STEPS, Recording
from lab.rl.envs.state.values import Environment, Writer


def take(env: Environment) -> State | None:
    """A snapshot of an environment with a `CheckedEnv` around it, or else its recording; None if there is neither."""
    state = snapshot.take(env)
    if state is not None:
        return state
    chain = list(snapshot.layers(env))
    outside, _ = _parted(chain)
    recording = outside[-1].recording
    if recording is None:
        return None
    if len(recording.actions) > MOST_STEPS:
        return {"reason": f"{snapshot.UNREAD}, and more than {MOST_STEPS:,} steps are not played again"}
    try:
        return {
            "layers": snapshot.holdings(chain, outside),
            "before": recording.before,
            "seed": recording.seed,
            "actions": pack_array(np.array(recording.actions)),
            "after": _after(recording, env),
        }
    except Unstorable:
        return None


def starts_new(state: State | None) -> bool:
    """Whether `restore` needs an environment that was never reset: the recording is of its first episode."""
    return state is not None and "actions" in state and state["before"] is None


def restore(env: Environment, state: State | None) -> None:
    """Puts `env`, made in the same way, where the one was that `state` was taken from.

    Raises:
        Mismatch: it has to start a new episode.
    """
    if state is not None and "reason" in state:
        raise Mismatch(state["reason"])
    if state is None or "actions" not in state:
        snapshot.restore(env, state)
        return
    outside, inside = _parted(list(snapshot.layers(env)))
    checked = outside[-1]
    try:
        if state["before"] is not None:
            snapshot.put(inside, state["before"])
        checked.reset(seed=state["seed"])
        for action in unpack_array(state["actions"]):
            checked.step(action)
    except Mismatch:
        raise
    except Exception as error:
        raise Mismatch(f"{snapshot.UNREAD}, and playing it again failed: {one_line(error)}") from error
    if checked.recording is None:
        raise Mismatch(f"the recording is not of {checked.name}, which can be read")
    for what, value in _after(checked.recording, env).items():
        if not alike(value, state["after"][what]):
            raise Mismatch(f"{snapshot.UNREAD}, and playing it again gave other {what}")
    snapshot.put(outside, state["layers"])


def _parted(chain: list[Environment]) -> tuple[list[Any], list[Environment]]:
    """The layers down to the `CheckedEnv`, which records, and those inside it."""
    place = next(place for place, layer in enumerate(chain, 1) if isinstance(layer, CheckedEnv))
    return chain[:place], chain[place:]


def _after(recording: Recording, env: Environment) -> dict[str, Any]:
    """What has to be the same after the episode was played again."""
    inside = env.unwrapped
    each = (SimpleNamespace(**{name: value}) for name, value in vars(inside).items())  # their order may be another one
    readable: State = {}
    for attribute in each:
        readable |= Writer([inside], partly=True).readable(attribute)
    return {
        "observations": Writer([]).value(recording.seen),
        "rewards": recording.earned,
        "random numbers or attributes": readable,
    }
