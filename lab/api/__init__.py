"""The commands of `lab` as functions, for programs and notebooks: `import lab`, then `lab.run("ddpg_pendulum")`.

Each function has the name and the words of a command, so whoever knows one knows the other:

    lab run RECIPE a.b=v --name N --seeds 5    lab.run("RECIPE", "a.b=v", name="N", seeds=5)
    lab resume RUN                             lab.resume("RUN")
    lab eval RUN --episodes 100                lab.evaluate("RUN", episodes=100)    (`eval` is a function of Python's)
    lab play RUN --video FILE                  lab.play("RUN", "FILE")
    lab collect RUN --episodes 100             lab.collect("RUN", episodes=100)
    lab sample RUN --prompt TEXT               lab.sample("RUN", "TEXT")
    lab tune STUDY --workers 4                 lab.tune("STUDY", workers=4)
    lab compare WHAT WHAT --metric M           lab.compare("WHAT", "WHAT", metric="M")
    lab claim CLAIM                            lab.claim("CLAIM")
    lab runs --experiment E                    lab.runs(experiment="E")

and `lab.load("RUN")` is the result of a run that was trained before. A RUN is an id, its first digits, a name, `last`,
or a result. An override is a text `a.b=v` as on the command line, or a mapping `{"a.b": v}` with values of Python.

A notebook shows a result as a small table (`_repr_html_`). `history` and `to_frame()` are tables of pandas, `curves()`
and `plot()` figures of matplotlib.

A function leaves the process as it was: random generators, threads, flags of torch, loggers, signals and variables. One
works at a time, because each needs these for itself; a call from another thread waits for the one before. A mistake
raises `lab.LabError` with the lines that the command would print. An interrupt saves first: `lab.resume("last")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.api.comparing import ComparedRuns, compare
    from lab.api.records import collect, load, runs
    from lab.api.repeated import RepeatedRuns
    from lab.api.studies import JudgedClaim, TunedStudy, claim, tune
    from lab.api.training import PlayedEpisode, evaluate, play, resume, run, sample
    from lab.api.training_run import TrainingRun

__all__ = [
    "ComparedRuns",
    "JudgedClaim",
    "PlayedEpisode",
    "RepeatedRuns",
    "TrainingRun",
    "TunedStudy",
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

__getattr__ = lazy(
    __name__,
    {
        "ComparedRuns": "comparing",
        "JudgedClaim": "studies",
        "PlayedEpisode": "training",
        "RepeatedRuns": "repeated",
        "TrainingRun": "training_run",
        "TunedStudy": "studies",
        "claim": "studies",
        "collect": "records",
        "compare": "comparing",
        "evaluate": "training",
        "load": "records",
        "play": "training",
        "resume": "training",
        "run": "training",
        "runs": "records",
        "sample": "training",
        "tune": "studies",
    },
)
