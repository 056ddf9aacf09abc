"""Studies: many runs of one recipe, and their statistics.

`load_study` reads a study file, `make_plan` checks it and lists its trials, `tune` trains them. `repeat` trains one
recipe with several seeds, `cross_validate` on several folds, and `judge` tests the claim that `load_claim` has read.
"""

from typing import TYPE_CHECKING

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.study.claim import Claim, load_claim
    from lab.study.folds import cross_validate
    from lab.study.judgement import Judgement, judge
    from lab.study.plan.plan import Plan, make_plan
    from lab.study.plan.schema import StudyFile, load_study
    from lab.study.seeds import repeat
    from lab.study.study import Study, tune
    from lab.study.work.record import StudyRecord

__all__ = [
    "Claim",
    "Judgement",
    "Plan",
    "Study",
    "StudyFile",
    "StudyRecord",
    "cross_validate",
    "judge",
    "load_claim",
    "load_study",
    "make_plan",
    "repeat",
    "tune",
]

__getattr__ = lazy(
    __name__,
    {
        "Claim": "claim",
        "Judgement": "judgement",
        "Plan": "plan.plan",
        "Study": "study",
        "StudyFile": "plan.schema",
        "StudyRecord": "work.record",
        "cross_validate": "folds",
        "judge": "judgement",
        "load_claim": "claim",
        "load_study": "plan.schema",
        "make_plan": "plan.plan",
        "repeat": "seeds",
        "tune": "study",
    },
)
