"""Runs that are stopped from outside: kill -9, SIGTERM, SIGINT, and a second signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.faults.case import Case, timed
from benchmarks.faults.lives import DDPG, MOONS, ROWS, Shop, Story, Work
from lab.engine.signals import EXIT_CODES

FAREWELL = 8  # seconds after which a worker without its parent is gone: torch's look every five


def killed(shop: Shop, work: Work, share: float) -> Iterator[Case]:
    """kill -9 at random points of the training, every fourth run three times in a row."""
    count = max(1, round(shop.points * share))
    shop.whole(work)
    with timed(Case("kill -9", work.name)) as case:
        _all(case, shop, work, [3 if i % 4 == 1 else 1 for i in range(count)], (signal.SIGKILL,), {137: ("RUNNING",)})
    yield case


def killed_at_its_end(shop: Shop) -> Iterator[Case]:
    """kill -9 after the training: in the test, while pictures are drawn, while the model is recorded."""
    whole, (trained, ended) = shop.whole(MOONS), shop.times(MOONS)
    with timed(Case("kill -9", f"{MOONS.name}, between training and end")) as case:
        for share in _spread(shop, max(1, shop.points // 10)):
            delay = trained + share * (ended - trained)
            case.judge(_stopped(shop, MOONS, [delay], (signal.SIGKILL,), {137: ("RUNNING",)}), whole)
    yield case


def signalled(shop: Shop, signum: signal.Signals) -> Iterator[Case]:
    """SIGINT or SIGTERM at random points."""
    for work in (DDPG, MOONS, ROWS):
        shop.whole(work)
        with timed(Case(signum.name, work.name)) as case:
            _all(case, shop, work, [1] * max(1, shop.points // 20), (signum,), {EXIT_CODES[signum]: ("KILLED",)})
        yield case


def twice(shop: Shop) -> Iterator[Case]:
    """Two signals before anything can be done about the first."""
    for work in (DDPG, ROWS):
        shop.whole(work)
        with timed(Case("SIGINT and SIGTERM at once", work.name)) as case:
            promised = dict.fromkeys(EXIT_CODES.values(), ("KILLED", "RUNNING"))
            _all(case, shop, work, [1] * max(1, shop.points // 20), (signal.SIGINT, signal.SIGTERM), promised)
        yield case


def _all(
    case: Case,
    shop: Shop,
    work: Work,
    often: Sequence[int],
    signals: tuple[int, ...],
    promised: dict[int, tuple[str, ...]],
) -> None:
    """As many runs as `often` has numbers, each stopped so often, spread over all of the training."""
    whole, (trained, _) = shop.whole(work), shop.times(work)
    for share, times in zip(_spread(shop, len(often)), often, strict=True):
        case.judge(_stopped(shop, work, [share * trained / times] * times, signals, promised), whole)


def _spread(shop: Shop, count: int) -> list[float]:
    """So many random numbers from 0 to 1, with no large gap between them."""
    return [(i + shop.random.random()) / count for i in range(count)]


def _stopped(
    shop: Shop, work: Work, delays: Sequence[float], signals: tuple[int, ...], promised: dict[int, tuple[str, ...]]
) -> Story:
    """A run that gets the signals, that many seconds after each of its beginnings, and is resumed each time."""
    story, life = Story(shop.uri), shop.start(work)
    for delay in delays:
        begun = life.begun()
        time.sleep(delay if begun else 0)
        family = [life.process.pid, *(child.pid for child in _children(life.process.pid))]
        life.send(*signals)
        code = life.end(story)
        status = shop.status(story.run_id)
        if status == "FINISHED":  # it had come to its end before
            return story
        story.statuses.append(status)
        story.expect(begun, "the run failed before it began")
        story.expect(status in promised.get(code, ()), f"status {status}, promised {promised}")
        if signals[0] != signal.SIGKILL:
            _expect_nothing_left(story, family)
        life = shop.resume(life, story.run_id)
    life.begun()
    life.end(story)
    return story


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _expect_nothing_left(story: Story, family: Sequence[int]) -> None:
    deadline = time.monotonic() + FAREWELL
    while (alive := [pid for pid in family if psutil.pid_exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    story.expect(not alive, f"processes {alive} are left")
    kept = [path.name for path in Path("/dev/shm").glob("torch_*") if path.name.split("_")[1] in map(str, family)]
    story.expect(not kept, f"shared memory is left: {kept}")
