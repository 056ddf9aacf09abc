"""An NVIDIA GPU: what each field trains in a second there and on the processor, and SAC beside a loop by hand."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import process, ratios, say, spread, table
from benchmarks.sac_vs_sbx import RANDOM_STEPS, ours

SHAPES = ((64, 64), (256, 256), (1024, 1024))  # widths of both hidden layers, and transitions of a batch
MOST_ON_CPU = 256  # a wider network takes minutes there
STEPS = 4_000
GAMMA, TAU, LR = 0.98, 0.005, 1e-3
PLACES = {
    "GPU, float32": ["trainer.accelerator=gpu", "trainer.precision=32-true"],
    "GPU, bf16-mixed": ["trainer.accelerator=gpu", "trainer.precision=bf16-mixed"],
    "CPU, float32": ["trainer.accelerator=cpu", "trainer.precision=32-true"],
}
FIELDS = {
    "`classify`, CNN, letters of 28x28": ["classify_letters", "model.network=cnn", "data.batch_size=256"],
    "`classify`, ResNet-18, scenes of 64x64": [
        "classify_scenes100", "model.network=timm:resnet18", "data.batch_size=256", "data.augment={}",
    ],
    "`segment`, U-Net with ResNet-34": ["segment_scenes", "model.encoder=timm:resnet34", "data.batch_size=64"],
    "`detect`, grid": ["detect_scenes", "data.batch_size=64"],
    "`gan`, letters": ["gan_letters", "data.batch_size=256"],
    "`diffusion`, letters": ["diffusion_letters", "data.batch_size=256"],
    "`caption`, LSTM with attention": [
        "caption_scenes", "model.pretrain_fraction=0", "model.word_loss_coef=0", "data.batch_size=128",
    ],
    "`forecast`, seasonal series": ["forecast_seasonal", "data.batch_size=256"],
    "`language_model`, 8 layers of width 512": [
        "language_model_python_help", "model.context=256", "model.width=512", "model.depth=8", "model.heads=8",
        "data.batch_size=16",
    ],
}  # fmt: skip
BATCHES = {"gpu": (40, 160), "cpu": (1, 3)}  # batches before the clock starts, and those that it counts


class Shape(NamedTuple):
    """Work of SAC: how wide, on how large batches, for how many environment steps."""

    hidden: int
    batch: int
    steps: int

    @property
    def updates(self) -> int:
        return self.steps - RANDOM_STEPS


def measure(quick: bool) -> dict[str, Any]:
    """Both tables, or nothing on a machine without such a GPU."""
    if not torch.cuda.is_available():
        say("skipped: PyTorch finds no NVIDIA GPU")
        return {}
    shapes, fields = (SHAPES[:1], dict([*FIELDS.items()][:1])) if quick else (SHAPES, FIELDS)
    return {
        "card": torch.cuda.get_device_name(0),
        "agents": [_agents(*shape, 1 if quick else 3) for shape in shapes],
        "fields": {name: _field(name, settings) for name, settings in fields.items()},
    }


# ---- SAC -------------------------------------------------------------------------------------------------------------


def _agents(hidden: int, batch: int, repetitions: int) -> dict[str, Any]:
    """Updates in a second of trainings that include their start, in turns after one training of each."""
    sides = {name: side for name, side in SIDES.items() if side is not on_cpu or hidden <= MOST_ON_CPU}
    found: dict[str, list[float]] = {name: [] for name in sides}
    with ExitStack() as stack:
        workers = {}
        for name in sides:
            workers[name] = stack.enter_context(process(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        work = Shape(hidden, batch, STEPS)
        for turn in range(repetitions + 1):
            for name, side in sides.items():
                rate = work.updates / workers[name](side, work)
                found[name] += [rate] if turn else []
                say(f"SAC ({hidden}, {hidden}), batch {batch}, {name}: {rate:,.0f}")
    return {"hidden": hidden, "batch": batch, "rates": found}


def on_gpu(work: Shape) -> float:
    """All of `lab run` on the GPU; the seconds of its training."""
    return ours(("Pendulum-v1", *work, {"model.lr": str(LR), "trainer.accelerator": "gpu"}))


def on_cpu(work: Shape) -> float:
    """The same on one thread of the processor."""
    return ours(("Pendulum-v1", *work, {"model.lr": str(LR), "trainer.accelerator": "cpu"}))


class Actor(nn.Module):
    """A Gaussian, squashed to actions in [-2, 2], as one writes it by hand."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.log_std = nn.Linear(hidden, 1), nn.Linear(hidden, 1)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, 1) and their log-densities (B, 1)."""
        features = self.net(observation)
        std = self.log_std(features).clamp(-20, 2).exp()
        noise = torch.randn_like(std)
        raw = self.mean(features) + std * noise
        log_density = -0.5 * noise.square() - std.log() - 0.9189
        log_density = log_density - 2 * (0.6931 - raw - F.softplus(-2 * raw)) - 0.6931
        return 2 * raw.tanh(), log_density


def by_hand(work: Shape) -> float:
    """A loop in the way of LeanRL: buffer on the GPU, update and acting each compiled and a CUDA graph."""
    import gymnasium
    from tensordict.nn import CudaGraphModule

    torch.manual_seed(0)
    device = torch.device("cuda")

    def critic() -> nn.Module:
        hidden = work.hidden
        layers = [nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)]
        return nn.Sequential(*layers).to(device)

    actor, critics, targets = Actor(work.hidden).to(device), [critic(), critic()], [critic(), critic()]
    for one, other in zip(critics, targets, strict=True):
        other.load_state_dict(one.state_dict())
    log_alpha = torch.zeros(1, device=device, requires_grad=True)
    weights: list[Tensor] = [p for one in critics for p in one.parameters()]
    slow: list[Tensor] = [p for one in targets for p in one.parameters()]
    options: dict[str, Any] = {"lr": LR, "capturable": True}
    of_actor = torch.optim.Adam(actor.parameters(), **options)
    of_critics, of_alpha = torch.optim.Adam(weights, **options), torch.optim.Adam([log_alpha], **options)

    def update(seen: Tensor, action: Tensor, reward: Tensor, following: Tensor, terminated: Tensor) -> Tensor:
        with torch.no_grad():
            ahead, density = actor(following)
            both = torch.cat([following, ahead], -1)
            future = torch.minimum(*(target(both) for target in targets)) - log_alpha.exp() * density
            goal = reward + GAMMA * future * (1 - terminated)
        of_critics.zero_grad()
        loss = sum(F.mse_loss(one(torch.cat([seen, action], -1)), goal) for one in critics)
        loss.backward()  # type: ignore[union-attr]
        of_critics.step()
        of_actor.zero_grad()
        chosen, density = actor(seen)
        value = torch.minimum(*(one(torch.cat([seen, chosen], -1)) for one in critics))
        (log_alpha.exp().detach() * density - value).mean().backward()
        of_actor.step()
        of_alpha.zero_grad()
        (-log_alpha.exp() * (density.detach() - 1.0)).mean().backward()
        of_alpha.step()
        with torch.no_grad():
            torch._foreach_lerp_(slow, weights, TAU)
        return loss.detach()  # type: ignore[union-attr]

    captured = CudaGraphModule(torch.compile(update), warmup=5)
    act = CudaGraphModule(torch.compile(lambda seen: actor(seen)[0].detach()), warmup=5)
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    columns = [torch.empty(work.steps, n, device=device) for n in (3, 1, 1, 3, 1)]
    env.action_space.seed(0)
    updates = 0
    start = time.perf_counter()
    seen, _ = env.reset(seed=0)
    for step in range(work.steps):
        if step < RANDOM_STEPS:
            action = env.action_space.sample()
        else:
            with torch.no_grad():
                action = act(torch.from_numpy(seen).to(device)[None])[0].cpu().numpy()
        following, reward, terminated, truncated, _ = env.step(action)
        row = torch.from_numpy(_row(seen, action, reward, following, terminated)).to(device)
        for column, part in zip(columns, row.split((3, 1, 1, 3, 1)), strict=True):
            column[step] = part
        seen = env.reset()[0] if terminated or truncated else following
        if step >= RANDOM_STEPS:
            rows = torch.randint(step + 1, (work.batch,), device=device)
            captured(*(column[rows] for column in columns))
            updates += 1
    torch.cuda.synchronize()
    assert updates == work.updates
    return time.perf_counter() - start


def _row(seen: Any, action: Any, reward: Any, following: Any, terminated: bool) -> Any:
    import numpy as np

    return np.concatenate([seen, action, [reward], following, [terminated]]).astype(np.float32)


SIDES: dict[str, Callable[[Shape], float]] = {
    "`lab run`, GPU": on_gpu,
    "loop by hand, GPU": by_hand,
    "`lab run`, CPU, one thread": on_cpu,
}


# ---- fields ----------------------------------------------------------------------------------------------------------


class Clock(Callback):
    """Takes the seconds of a training from its `first` batch on, and the memory that it needs on the GPU."""

    seconds, gigabytes, first = 0.0, 0.0, 0

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        if trainer.global_step >= Clock.first and not Clock.seconds:
            Clock.seconds = -self._now(trainer)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:  # noqa: ARG002
        Clock.seconds += self._now(trainer)
        Clock.gigabytes = torch.cuda.max_memory_allocated() / 1e9

    def _now(self, trainer: Trainer) -> float:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class Training(NamedTuple):
    """One training of a field.

    Args:
        settings: its recipe and overrides.
        first: batches before the clock starts.
        counted: batches that it counts.
        threads: of the processor.
    """

    settings: list[str]
    first: int
    counted: int
    threads: int


def _field(name: str, settings: list[str]) -> dict[str, Any]:
    """Items in a second, and gigabytes on the GPU, at every place."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, process(Path(folder)) as worker:
        for place, further in PLACES.items():
            first, counted = BATCHES["cpu" if place.startswith("CPU") else "gpu"]
            found[place] = worker(field, Training([*settings, *further], first, counted, os.cpu_count() or 1))
            say(f"{name}, {place}: {found[place]['rate']:,.0f} items/s, {found[place]['gigabytes']:.2f} GB")
    return found


def field(work: Training) -> dict[str, float]:
    """Trains, without validation and test."""
    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.fit import fit

    name, *further = work.settings
    settings = {
        "trainer.max_steps": (work.first + work.counted) * (2 if name.startswith("gan") else 1),  # two players
        "trainer.max_epochs": -1,
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
        "threads": work.threads,
        "callbacks": f"[{{class_path: {Clock.__module__}.{Clock.__name__}}}]",
    }
    Clock.seconds, Clock.first = 0.0, work.first * (2 if name.startswith("gan") else 1)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    recipe = load(find_recipe(name), [*further, *(f"{key}={value}" for key, value in settings.items())])
    fit(recipe)
    batch = int(next(each.partition("=")[2] for each in further if each.startswith("data.batch_size=")))
    return {"rate": work.counted * batch / Clock.seconds, "gigabytes": Clock.gigabytes}


# ---- report ----------------------------------------------------------------------------------------------------------


def report(found: dict[str, Any]) -> str:
    agents, fields = [], []
    for each in found["agents"]:
        rates = each["rates"]
        speed = statistics.median(ratios(rates["`lab run`, GPU"], rates["loop by hand, GPU"]))
        name = f"({each['hidden']}, {each['hidden']}), batch {each['batch']}"
        agents.append([name, *(spread(rates[side], 0) if side in rates else "" for side in SIDES), f"{speed:.2f}"])
    for name, places in found["fields"].items():
        rates = [places[place]["rate"] for place in PLACES]
        memory = " / ".join(f"{places[place]['gigabytes']:.2f}" for place in PLACES if place.startswith("GPU"))
        fields.append([name, *(f"{rate:,.0f}" for rate in rates), f"{rates[1] / rates[0]:.2f}", memory])
    parts = ["## GPU", f"On one {found['card']}."]
    if agents:
        parts += [
            f"Updates per second of SAC on Pendulum-v1 with its environment, in trainings of {STEPS:,} steps, more is "
            "better. The loop by hand has its update and its acting compiled, and each as a CUDA graph, as LeanRL does "
            "it. Medians (least to most); the last column says how many times as fast as the loop `lab run` is.",
            table(["networks", *SIDES, "against the loop"], agents),
        ]
    parts += [
        "Images, series or windows of text that each field trains on in a second, without validation, after a "
        "warm-up; the processor uses all of its cores. Memory is the most that was allocated in float32 and in "
        "bf16-mixed.",
        table(["", *PLACES, "bf16 against float32", "GPU memory, GB"], fields),
    ]
    return "\n\n".join(parts)
