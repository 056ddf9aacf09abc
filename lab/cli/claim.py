"""`lab claim`: test a statement that one configuration is better than another."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import words
from lab.cli.output import emit, number, working
from lab.cli.tables import table


def claim(
    file: Annotated[
        str,
        typer.Argument(
            metavar="CLAIM", help="A YAML file, or the name of an installed claim.", autocompletion=words.claim_names
        ),
    ],
    workers: words.Workers = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Train both sides of a claim where runs are missing, and print whether it is upheld."""
    from lab.registry import find_recipe
    from lab.study.claim import judge, load_claim

    with working():
        found = judge(load_claim(find_recipe(file, "claim")), workers, uri)
    if as_json:
        emit(found)
        return
    table(
        ["", "STUDY", "SEEDS", "MEAN", "IQM", "95 %"],
        [
            [
                side.name,
                side.study,
                str(len(side.scores)),
                number(side.mean),
                number(side.iqm),
                _interval(side.interval),
            ]
            for side in found.evidence
        ],
        drop=("MEAN", "SEEDS"),
    )
    better, worse = (side.name for side in found.evidence)
    chance = f"{found.probability:.2f} ({_interval(found.interval)})"
    print(f"{found.metric}: a run of {better} is better than one of {worse} with probability {chance}")
    print(f"{found.verdict.upper()}: {found.claim}")


def _interval(interval: object) -> str:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return "-" if low is None else f"{number(low)} to {number(high)}"
