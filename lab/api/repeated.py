"""The results of one recipe with several seeds, or on several folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.api import html
from lab.api.wording import in_python
from lab.errors import LabError
from lab.sentences import note

if TYPE_CHECKING:
    import optuna
    from pandas import DataFrame

    from lab.api.training_run import TrainingRun
    from lab.study.repeated import Repetition


@dataclass(frozen=True, repr=False)
class RepeatedRuns:
    """Several runs of one recipe and their statistics.

    Args:
        repetition: the study of these runs, as `lab.study.repeated` has it.
    """

    repetition: Repetition

    @classmethod
    def of(cls, repetition: Repetition) -> RepeatedRuns:
        """Says on standard error what does not count, or is missing.

        Raises:
            LabError: no run has a score.
        """
        if repetition.missing and not repetition.results:
            raise LabError(in_python(repetition.missing))
        for line in [*repetition.warnings, *filter(None, [repetition.missing])]:
            note(in_python(line))
        return cls(repetition)

    @property
    def name(self) -> str:
        """The study's name: `lab.compare(name)` compares it with others."""
        return self.repetition.study.plan.name

    @property
    def study(self) -> optuna.Study:
        """Optuna's study."""
        return self.repetition.study.record.optuna

    @property
    def runs(self) -> Mapping[int, TrainingRun]:
        """The runs by seed or fold; each is read when it is asked for."""
        from lab.api.records import load

        uri = self.repetition.study.uri
        return {key: load(result.run_id, uri=uri) for key, result in self.repetition.results.items()}

    @property
    def summary(self) -> DataFrame:
        """Statistics: a row for each metric of the best checkpoint, such as `test/return`.

        Columns are `mean`, `iqm` (interquartile mean), `low` and `high` (its 95 % bootstrap interval) over seeds, and
        `mean` and `std` over folds.
        """
        import pandas as pd

        return pd.DataFrame.from_dict(self.repetition.summary, orient="index")

    def to_frame(self) -> DataFrame:
        """A row for each seed or fold: `run_id`, and the metrics of the best checkpoint."""
        import pandas as pd

        found = self.repetition
        rows = {
            key: {"run_id": result.run_id, **{name: result.metrics.get(name) for name in found.summary}}
            for key, result in found.results.items()
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = found.kind
        return frame

    def __repr__(self) -> str:
        found = self.repetition
        return f"RepeatedRuns({self.name!r}, {len(found.results)} {found.kind}s)"

    def _repr_html_(self) -> str:
        from lab.stages import number

        found = self.repetition
        rows = [[name, run, *map(number, values)] for name, run, values in found.rows]
        notes = [html.note(in_python(line)) for line in (found.note, found.missing) if line]
        return html.page(self.name, html.table(rows, [found.kind, "run", *found.summary]), *notes)
