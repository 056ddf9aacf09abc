"""Faults inside the training: a loss that is no number, a data set or an environment that raises."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from benchmarks.faults.case import Case, timed
from benchmarks.faults.lives import DDPG, ROWS, Shop, Story, Work

SHAKY = Work("ddpg in an environment of one's own", (*DDPG.words, "data.env=rows:Shaky-v0"))


def loss(shop: Shop) -> Iterator[Case]:
    """The loss becomes NaN."""
    batch = shop.random.randrange(20, 180)
    yield _failing(shop, "NaN loss", ROWS, f"nan {batch}", rf"the loss is nan after {batch + 1} batches .*last\.ckpt")


def data(shop: Shop) -> Iterator[Case]:
    """A row cannot be read."""
    row = shop.random.randrange(400)
    yield _failing(shop, "data set raises", ROWS, f"row {row}", rf"in training, epoch 0, .*row {row} is torn")


def environment(shop: Shop) -> Iterator[Case]:
    """The simulator raises."""
    step = shop.random.randrange(500, 2000)
    words = rf"rows:Shaky-v0 failed at env step {step}: ArithmeticError: the simulation diverged"
    yield _failing(shop, "environment raises", SHAKY, f"step {step}", words)


def _failing(shop: Shop, fault: str, work: Work, trouble: str, words: str) -> Case:
    whole, story = shop.whole(work), Story(shop.uri)
    with timed(Case(fault, f"{work.name}, {trouble}")) as case:
        life = shop.start(work, FAULT=trouble)
        life.begun()
        code = life.end(story)
        story.statuses.append(shop.status(story.run_id))
        expect_failure(story, code, words)
        life = shop.resume(life, story.run_id)
        life.end(story)
        case.judge(story, whole)
    return case


def expect_failure(story: Story, code: int, words: str, statuses: Sequence[str] = ("FAILED",)) -> None:
    """Exit code 1, one of the statuses, the words in one line, and a checkpoint to go on from."""
    from lab import files

    story.expect(code == 1, "the exit code is not 1")
    story.expect(story.statuses[-1] in statuses, f"the status is {story.statuses[-1]}, not {' or '.join(statuses)}")
    lines = [line for line in story.said[-1].splitlines() if line.startswith("error: ")]
    story.expect(len(lines) == 1 and re.search(words, lines[0]), f"no line says `{words}`")
    story.expect(story.last().exists(), "there is no checkpoint")
    files.check(story.last())
