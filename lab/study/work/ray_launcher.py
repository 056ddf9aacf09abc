"""Jobs as tasks of a Ray cluster, or of a Ray that lives on this machine for as long as the study.

Ray only places the jobs. The study decides which jobs there are and what happens after the crash of a process or
machine, so Ray's own retries are off. Jobs report through `Mailbox`,
a small actor beside the driver.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import yaml

from lab.errors import BadInput, LabError
from lab.imports import load_object
from lab.stages import Progress
from lab.study.work.job import Job, JobFunction, JobResult
from lab.study.work.launcher import STOP_SECONDS, TRAIN, Crashed, Ended, Event, Progressed, Started, Validated

Key = tuple[int, int]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints the crashes of processes on stdout, where only data belongs
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning about a future default
}
STORE_BYTES = 100 * 2**20  # reports are small; Ray would set aside a third of the memory
REACH_SECONDS = 5.0  # Ray itself tries for two minutes
CRASH_REASONS = {
    "WorkerCrashedError": "its process was killed or crashed (out of memory?)",
    "OutOfMemoryError": "Ray ended its process because its machine ran out of memory",
    "NodeDiedError": "its machine does not answer any more",
}


class RayLauncher:
    """The launcher for Ray.

    The environment variable RAY_ADDRESS says which cluster: `auto` for the one this machine belongs to, or host:port of
    its head. Without it a Ray of this machine alone is started, and ended by `close`. A program that has called
    `ray.init` itself keeps its Ray.

    A job asks for as many CPUs as its recipe has `threads`, which is one by default, but no more than the largest
    machine has. Where there are GPUs it asks for one, unless the recipe says `trainer: {accelerator: cpu}`; with more
    jobs than GPUs as many jobs share one as are needed for all to run at once.

    Args:
        count: jobs at a time; by default one for each CPU of the cluster.
        work: the function that does a job, as `package.module:name`; every machine has to have it installed.

    Raises:
        BadInput: Ray is not installed, or RAY_ADDRESS cannot be one.
        LabError: the cluster cannot be reached.
    """

    def __init__(self, count: int | None = None, work: str = TRAIN) -> None:
        self.ray = _ray()
        self.ours = not self.ray.is_initialized()
        if self.ours:
            _connect(self.ray, count)
        resources = self.ray.cluster_resources()
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        self.count = count or max(1, int(resources.get("CPU", 1)))
        self.most_cpus = max(node["Resources"].get("CPU", 0.0) for node in nodes)
        self.several_machines = len({node["NodeManagerHostname"] for node in nodes}) > 1
        gpus = resources.get("GPU", 0)
        self.gpu_share = math.floor(10_000 / math.ceil(self.count / gpus)) / 10_000 if gpus else 0.0  # Ray's resolution

        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        self.mailbox = self.ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        self.task = self.ray.remote(max_retries=0)(_do)
        self.work = work
        self.tasks: dict[Any, Key] = {}
        self.waiting: Any = None  # what ends when a report is there

    @property
    def idle(self) -> int:
        return self.count - len(self.tasks)

    def start(self, job: Job) -> None:
        if self.several_machines and job.uri.startswith("sqlite"):
            raise BadInput("several machines cannot share an SQLite file; start a tracking server and give its --uri")
        recipe = yaml.safe_load(job.recipe)
        cpus = min(recipe.get("threads") or 1, self.most_cpus)
        gpus = 0.0 if (recipe.get("trainer") or {}).get("accelerator") == "cpu" else self.gpu_share
        task = self.task.options(num_cpus=cpus, num_gpus=gpus).remote(self.work, job, self.mailbox)
        self.tasks[task] = job.key

    def events(self, timeout: float) -> list[Event]:
        if self.waiting is None:
            self.waiting = self.mailbox.wait.remote()
        self.ray.wait([self.waiting, *self.tasks], num_returns=1, timeout=timeout, fetch_local=False)
        over = list(self.tasks)
        if over:  # before the reports are fetched: those of a task that is over are all there
            over, _ = self.ray.wait(over, num_returns=len(over), timeout=0, fetch_local=False)
        running = set(self.tasks.values())
        reports = self._fetch()
        if self.ray.wait([self.waiting], timeout=0, fetch_local=False)[0]:
            self.waiting = None
        return [*(report for report in reports if report.key in running), *map(self._end, over)]

    def answer(self, key: Key, prune: bool) -> None:
        self.mailbox.answer.remote(key, prune)

    def stop(self) -> list[Event]:
        events: list[Event] = []
        began, asked = time.monotonic(), 0
        while self.tasks and time.monotonic() < began + STOP_SECONDS:
            if (
                time.monotonic() >= began + asked * STOP_SECONDS / 3
            ):  # Python may swallow one, in a destructor for instance
                asked += 1
                for task in self.tasks:  # to the job it is as if Ctrl-C was pressed; not to what it waits for
                    self.ray.cancel(task, force=False, recursive=False)
            for event in self.events(1.0):
                if isinstance(event, Validated):  # it has to go on to be able to stop
                    self.answer(event.key, False)
                events.append(event)
        return events

    def close(self) -> None:
        for task in self.tasks:
            self.ray.cancel(task, force=True, recursive=False)
        self.tasks.clear()
        if self.ours:
            self.ray.shutdown()
        else:
            self.ray.kill(self.mailbox)

    def _fetch(self) -> list[Event]:
        from ray.exceptions import RayError

        try:
            events: list[Event] = self.ray.get(self.mailbox.fetch.remote())
        except RayError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise LabError(f"the Ray cluster has gone: {reason}; run the same command again to continue") from None
        return events

    def _end(self, task: Any) -> Event:
        """The event that a finished task stands for."""
        from ray.exceptions import RayError, TaskCancelledError

        key = self.tasks.pop(task)
        try:
            return Ended(key, self.ray.get(task))
        except TaskCancelledError:  # before its function began
            return Ended(key, JobResult("stopped"))
        except RayError as error:
            said = (str(error).strip() or type(error).__name__).splitlines()
            return Crashed(key, CRASH_REASONS.get(type(error).__name__, said[-1]))


class Mailbox:
    """A Ray actor that holds the reports of jobs until the driver fetches them, and the driver's answers."""

    def __init__(self) -> None:
        self.reports: list[Event] = []
        self.arrived = asyncio.Event()
        self.answers: dict[Key, asyncio.Future[bool]] = {}

    async def send(self, report: Event) -> None:
        self.reports.append(report)
        self.arrived.set()

    async def ask(self, report: Event) -> bool:
        """Sends a report and waits for its answer."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.answers[report.key] = answer
        await self.send(report)
        return await answer

    async def answer(self, key: Key, prune: bool) -> None:
        if key in self.answers:
            self.answers.pop(key).set_result(prune)

    async def wait(self) -> None:
        """Ends when there is a report."""
        await self.arrived.wait()

    async def fetch(self) -> list[Event]:
        reports, self.reports = self.reports, []
        self.arrived.clear()
        return reports


class RayReporter:
    """Reports of a job to the driver, through the mailbox.

    Args:
        mailbox: the actor that holds them.
        key: the job's.
    """

    def __init__(self, mailbox: Any, key: Key) -> None:
        self.ray, self.mailbox, self.key = _ray(), mailbox, key

    def started(self, run_id: str) -> None:
        self.ray.get(self.mailbox.send.remote(Started(self.key, run_id)))

    def progressed(self, now: str | Progress) -> None:
        self.mailbox.send.remote(Progressed(self.key, now))  # nobody has to wait for it

    def validated(self, position: int, metrics: Mapping[str, float]) -> bool:
        return bool(self.ray.get(self.mailbox.ask.remote(Validated(self.key, position, dict(metrics)))))


def _do(work: str, job: Job, mailbox: Any) -> JobResult:
    """The task: it runs on the main thread of a process of its own, where a run can listen to signals."""
    return cast(JobFunction, load_object(work))(job, RayReporter(mailbox, job.key))


def _ray() -> Any:
    os.environ.update({key: value for key, value in QUIET.items() if key not in os.environ})
    try:
        import ray
    except ImportError:
        raise BadInput("--launcher ray needs Ray; pip install 'torch-lab[ray]'") from None
    return ray


def _connect(ray: Any, count: int | None) -> None:
    address = os.environ.get("RAY_ADDRESS", "")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with _signals_kept():
        if not address or address == "local":
            cpus = max(count or 1, len(os.sched_getaffinity(0)))
            ray.init("local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
            return
        _check_reachable(address)
        try:
            ray.init(address, **quiet)
        except (Exception, SystemExit) as error:  # it ends the program when a cluster does not answer
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise LabError(f"Ray cluster {address} (RAY_ADDRESS) cannot be reached: {reason}") from None


def _check_reachable(address: str) -> None:
    """Raises if no cluster answers at the address."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise BadInput(f"RAY_ADDRESS {address}: expected auto or host:port, on a machine that belongs to the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LabError(f"Ray cluster {address} (RAY_ADDRESS) cannot be reached: {reason}") from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; it is the study's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
