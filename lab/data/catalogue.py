"""The catalogue of data sets: what each one is before any row of it is there. Fields and plugins add theirs.

An entry point of group `lab.datasets` names a `DatasetInfo`, several of them, or a function that returns them:

    [project.entry-points."lab.datasets"]
    two_moons = "two_moons.data:DATASET"
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from lab.data.table import Table
from lab.errors import BadInput, BadSetting, suggestion
from lab.registry import Plugin, dataset_records

if TYPE_CHECKING:
    from matplotlib.figure import Figure


D = TypeVar("D", bound="DatasetInfo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A data set as `lab data` lists it.

    >>> info = DatasetInfo(
    ...     name="ramp", field="tabular", description="a line of five points", source="made up; free to use",
    ...     origin="generated", train_rows=5, read=lambda split: Table({"x": torch.arange(5.0)}),
    ... )
    >>> info.present, len(info.load("train"))
    (True, 5)

    Args:
        name: what a recipe calls it; used once in the catalogue.
        field: whose data it is: vision, tabular, series, text, or a word of your own.
        description: what is in it, in a few words.
        source: where it is from, and its licence.
        origin: whether it was measured (`real`) or made by a program (`generated`).
        read: gives the table of a split, `train` or `test`; keywords besides the split are options of `lab data show`.
        train_rows: how many rows for training and validation; 0 where only the files know.
        test_rows: how many rows of the test, likewise.
        columns: what each column holds, by name, such as `points: (N, 2) float`.
        classes: the names of what the column `label` counts, from 0.
        path: the file or folder that it is read from; None where there is none.
        fetch: downloads it to `path`; None where it needs no download.
        plot: draws this record, a table of it, and a title.
        locate: the record of the same data set at another path, where it lies wherever its owner wants.
        family: the record of a name that no list holds, such as one of thousands on a server; None for names of others.
    """

    name: str
    field: str
    description: str
    source: str
    origin: Literal["real", "generated"]
    read: Callable[..., Table]
    train_rows: int = 0
    test_rows: int = 0
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] = ()
    path: Path | None = None
    fetch: Callable[[], None] | None = None
    plot: Callable[[Any, Table, str], Figure] | None = None
    locate: Callable[[Path], Any] | None = None
    family: Callable[[str], Any] | None = None

    @property
    def present(self) -> bool:
        """Whether it can be used without a network."""
        return self.path is None or self.path.exists()

    @property
    def missing(self) -> bool:
        """Whether it has to be downloaded before it is read."""
        return self.fetch is not None and not self.present

    def prepare(self) -> None:
        """Download it, if it is not there."""
        if self.fetch is not None and not self.present:
            self.fetch()

    def at(self: D, path: str | None) -> D:
        """The same data set where it lies at `path`.

        Raises:
            BadSetting: it has a place of its own.
        """
        if path is None:
            return self
        if self.locate is None:
            raise BadSetting("path", f"{self.name} has a fixed location; leave it out")
        found: D = self.locate(Path(path))
        return found

    def load(self, split: Literal["train", "test"] = "train", max_rows: int | None = None, **options: Any) -> Table:
        """The rows of a split, fetched before if they are not there.

        Args:
            split: what to learn from, or what tests.
            max_rows: at most so many, the first ones.
            options: keywords of `read`, such as the size of images.

        Raises:
            BadInput: there is no such option, or the files cannot be used.
        """
        known = [name for name in inspect.signature(self.read).parameters if name != "split"]
        if unknown := [name for name in options if name not in known]:
            listed = f"it has {', '.join(known)}" if known else "it has none"
            raise BadInput(f"{self.name} has no option {unknown[0]!r}; {listed}")
        self.prepare()
        if "max_rows" in known:
            options["max_rows"] = max_rows  # what is generated need not be generated to be left out
        return self.read(split, **options)[:max_rows]

    def counts(self, table: Table) -> dict[str, int]:
        """Rows of each class by its name; empty where there is no column `label`, or its classes have no names."""
        if "label" not in table or not self.classes:
            return {}
        return dict(zip(self.classes, table["label"].bincount(minlength=len(self.classes)).tolist(), strict=True))


class Catalogue(NamedTuple):
    """All data sets that are installed.

    >>> found = all_datasets()
    >>> found.datasets["digits"].field, found.datasets["digits"].origin
    ('vision', 'real')

    Args:
        datasets: by name.
        problems: one line for each source that is broken, and for each name that is used twice and so by nobody.
    """

    datasets: dict[str, DatasetInfo]
    problems: list[str]


def all_datasets() -> Catalogue:
    """The data sets of all entry points; a broken one is one line, and harms no other.

    >>> "digits" in all_datasets().datasets
    True
    """
    owners: dict[str, list[tuple[Plugin, DatasetInfo]]] = defaultdict(list)
    problems = []
    for plugin, records in dataset_records():
        wrong = [record for record in records if not isinstance(record, DatasetInfo)]
        if wrong:
            error = f"{plugin.value!r} holds a {type(wrong[0]).__name__}, expected lab.data.DatasetInfo"
            problems.append(_problem(plugin, error))
            continue
        if plugin.error:
            problems.append(_problem(plugin, plugin.error))
        for record in records:
            owners[record.name].append((plugin, record))
    for name, claims in owners.items():
        if len(claims) > 1:
            both = " and ".join(f"{plugin.source} ({plugin.value})" for plugin, _ in claims)
            problems.append(f"data set {name!r} is in {both}; uninstall one of them")
    return Catalogue({name: claims[0][1] for name, claims in owners.items() if len(claims) == 1}, problems)


def find_dataset(name: str, kind: type[D]) -> D:
    """The data set of that name.

    >>> len(find_dataset("digits", DatasetInfo).load("train", max_rows=5))
    5

    Args:
        name: as `lab data ls` lists it.
        kind: `DatasetInfo` for any, or a subclass for those of one field.

    Raises:
        BadSetting: there is none, it is in two plugins, or it is one of another field.
    """
    datasets, problems = all_datasets()
    known: Sequence[str] = [each.name for each in datasets.values() if isinstance(each, kind)]
    found = datasets.get(name) or _relative(name, datasets)
    if isinstance(found, kind):
        return found
    if found is not None:
        raise BadSetting("name", f"{name!r} is a data set of {found.field}; expected one of {', '.join(known)}")
    if twice := [line for line in problems if line.startswith(f"data set {name!r} ")]:
        raise BadSetting("name", twice[0])
    raise BadSetting("name", f"no data set {name!r}{suggestion(name, known)}")


def _relative(name: str, datasets: Mapping[str, DatasetInfo]) -> DatasetInfo | None:
    """The record of a name that belongs to the family of one."""
    made = (each.family(name) for each in datasets.values() if each.family is not None)
    return next((each for each in made if each is not None), None)


def _problem(plugin: Plugin, error: str) -> str:
    return f"data sets {plugin.name!r} of {plugin.source} are broken: {error}"
