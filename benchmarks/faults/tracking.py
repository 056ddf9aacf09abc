"""Faults of the tracking server: absent, killed and started again, gone for good, slow, silent."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.faults.case import Case, timed
from benchmarks.faults.lives import DDPG, MOONS, ROWS, Life, Shop, Story, Work, client
from benchmarks.faults.mlflow_server import Proxy, Server
from lab.tracking.sync import OFFLINE_ID

SLOWLY = Work(ROWS.name, (*ROWS.words, "data.pause=0.1"))  # long enough for a server to be started again meanwhile
DELAY = 2.0  # seconds


@contextmanager
def server(shop: Shop, running: bool = True) -> Iterator[Server]:
    found = Server(shop.folder / "server")
    try:
        if running:
            found.start()
        yield found
    finally:
        found.kill()


def absent(shop: Shop) -> Iterator[Case]:
    """No server at the start: refused, with the way out; that way out, `--offline`, and `lab sync` later."""
    whole, shop = shop.whole(MOONS), shop.beside(shop.folder / "absent")
    with server(shop, running=False) as down, timed(Case("server down at the start", MOONS.name)) as case:
        refused, life = Story(down.uri), shop.start(MOONS, MLFLOW_TRACKING_URI=down.uri)
        refused.expect(life.end(refused) == 1, "the exit code is not 1")
        refused.expect("--offline" in refused.said[-1], "the message does not name --offline")
        case.ends.update(["1 without a run"])
        case.problems += refused.problems

        story, life = Story(down.uri), shop.start(MOONS, "--offline", MLFLOW_TRACKING_URI=down.uri)
        life.end(story)
        down.start()
        local, story.run_id = story.run_id, ""
        for _ in range(2):  # the second time doubles nothing
            _sync(shop, story)
            copies = _copies(down.uri, local)
            story.expect(len(copies) == 1, f"{len(copies)} runs on the server stand for one")
            story.run_id = copies[0] if copies else ""
            _expect_all_there(story)
        story.statuses.append(client(down.uri).get_run(story.run_id).info.status)
        case.judge(story, whole)
    yield case


def restarted(shop: Shop) -> Iterator[Case]:
    """The server is killed in the middle of a run, and is back before its end."""
    whole, shop = shop.whole(ROWS), shop.beside(shop.folder / "restarted")
    with server(shop) as found, timed(Case("server killed and started again", ROWS.name)) as case:
        for _ in range(max(1, shop.points // 20)):
            story, life = Story(found.uri), _begun(shop, SLOWLY, found.uri)
            time.sleep(5 * shop.random.random())
            found.kill()
            time.sleep(3 * shop.random.random())
            found.start()
            story.expect(life.process.poll() is None, "the run ended before the server was back")
            life.end(story)
            story.statuses.append(client(found.uri).get_run(story.run_id).info.status)
            story.expect("lab sync" not in story.said[-1], "something still waits at the end")
            case.judge(story, whole)
    yield case


def gone(shop: Shop) -> Iterator[Case]:
    """The server is killed in the middle of a run and comes back after its end; then `lab sync`, twice."""
    whole, (trained, _), shop = shop.whole(MOONS), shop.times(MOONS), shop.beside(shop.folder / "gone")
    with server(shop) as found, timed(Case("server killed, back after the end", MOONS.name)) as case:
        for _ in range(max(1, shop.points // 20)):
            story, life = Story(found.uri), _begun(shop, MOONS, found.uri)
            time.sleep(shop.random.random() * trained)
            found.kill()
            story.expect(life.end(story) == 0, "the exit code is not 0")
            story.expect("lab sync" in story.said[-1], "the last words do not name lab sync")
            found.start()
            for _ in range(2):
                _sync(shop, story)
            _expect_all_there(story)
            story.statuses.append(client(found.uri).get_run(story.run_id).info.status)
            case.judge(story, whole)
    yield case


def power_cut(shop: Shop) -> Iterator[Case]:
    """The run and its server are killed together; the server starts again, and the run is resumed."""
    whole, (trained, _), shop = shop.whole(MOONS), shop.times(MOONS), shop.beside(shop.folder / "power_cut")
    with server(shop) as found, timed(Case("run and server killed at once", MOONS.name)) as case:
        for _ in range(max(1, shop.points // 20)):
            story, life = Story(found.uri), _begun(shop, MOONS, found.uri)
            time.sleep(shop.random.random() * trained)
            life.send(signal.SIGKILL)
            found.kill()
            life.end(story)
            found.start()
            story.statuses.append(client(found.uri).get_run(story.run_id).info.status)
            life = shop.resume(life, story.run_id, "--uri", found.uri)
            life.end(story)
            _expect_all_there(story)
            case.judge(story, whole)
    yield case


def slow(shop: Shop) -> Iterator[Case]:
    """Each answer takes seconds, or none comes from some moment on: what that does to the time of training."""
    whole, shop = shop.whole(DDPG), shop.beside(shop.folder / "slow")
    seconds: dict[str, list[float]] = {"direct": [], "slow": [], "silent": []}
    with server(shop) as found:
        line = Proxy(found.port)
        cases = {
            "direct": Case("server well", f"{DDPG.name}, for comparison"),
            "slow": Case("server slow", f"{DDPG.name}, each answer takes {DELAY:g} s"),
            "silent": Case("server silent", f"{DDPG.name}, no answer from the start of training to its end"),
        }
        for _ in range(1 if shop.quick else 2):
            for how, case in cases.items():
                before = case.seconds
                with timed(case):
                    line.delay = DELAY if how == "slow" else 0.0
                    story, life = Story(line.uri), _begun(shop, DDPG, line.uri)
                    line.dead = how == "silent"
                    life.end(story)
                    line.delay, line.dead = 0.0, False
                    if how == "silent":
                        story.expect("lab sync" in story.said[-1], "the last words do not name lab sync")
                    _sync(shop, story)
                    story.statuses.append(client(line.uri).get_run(story.run_id).info.status)
                    case.judge(story, whole)
                    seconds[how].append(story.result["seconds"])
                case.seconds += before
        line.close()
    for how, case in cases.items():
        if how != "direct" and seconds[how]:
            ratio = statistics.median(seconds[how]) / statistics.median(seconds["direct"])
            taken = f"{statistics.median(seconds[how]):.1f} s"
            case.notes.append(f"training took {taken}, {ratio:.2f} times as long as with a server that is well")
        yield case


def _begun(shop: Shop, work: Work, uri: str) -> Life:
    life = shop.start(work, MLFLOW_TRACKING_URI=uri)
    life.begun()
    return life


def _sync(shop: Shop, story: Story) -> None:
    done = shop.lab("sync")
    said = " ".join(f"{done.stdout} {done.stderr}".split())
    story.expect(done.returncode == 0, f"lab sync ended with {done.returncode}: {said}")


def _copies(uri: str, offline_id: str) -> list[str]:
    """The runs on the server that stand for this one."""
    server = client(uri)
    every = [experiment.experiment_id for experiment in server.search_experiments()]
    found = server.search_runs(every, f"tags.`{OFFLINE_ID}` = '{offline_id}'")
    return [run.info.run_id for run in found]


def _expect_all_there(story: Story) -> None:
    """Checkpoints, recipe, pictures and one model have arrived."""
    server = client(story.uri)
    top = {entry.path for entry in server.list_artifacts(story.run_id)}
    kept = {entry.path for entry in server.list_artifacts(story.run_id, "checkpoints")}
    story.expect(top >= {"recipe.yaml", "plots", "checkpoints"}, f"the run's artifacts are only {sorted(top)}")
    story.expect(kept == {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}, f"its checkpoints are {sorted(kept)}")
    experiment = server.get_run(story.run_id).info.experiment_id
    models = server.search_logged_models([experiment], filter_string=f"source_run_id = '{story.run_id}'")
    story.expect(len(models) == 1, f"it has {len(models)} models")
