"""A PyTorch Lightning experiment suite: `import lab; result = lab.run("ddpg_pendulum", "model.gamma=0.95")`.

The functions are described in `lab.api`; nothing is imported before one of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.api import claim, collect, compare, evaluate, load, play, resume, run, runs, sample, tune
    from lab.errors import LabError

    __version__: str

__all__ = [
    "LabError",
    "claim",
    "collect",
    "compare",
    "evaluate",
    "load",
    "play",
    "resume",
    "run",
    "runs",
    "sample",
    "tune",
]

_ELSEWHERE = {"train": "run", "fit": "run", "eval": "evaluate", "test": "evaluate", "optimize": "tune", "sweep": "tune"}
_exported = lazy(__name__, dict.fromkeys(__all__, "api") | {"LabError": "errors"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("torch-lab")
    if name in _ELSEWHERE:
        raise AttributeError(f"module 'lab' has no attribute {name!r}; did you mean lab.{_ELSEWHERE[name]}?")
    return _exported(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
