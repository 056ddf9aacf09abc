"""Tokens per second of `lab run language_model_python_help` and of a loop by hand around a GPT of the same shape."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import process, ratios, say, spread, table

VOCABULARY, CONTEXT, WIDTH, DEPTH, HEADS, BATCH = 1024, 64, 128, 3, 4, 8
LR, WEIGHT_DECAY, DROPOUT = 2e-3, 0.1, 0.1
NAMES = {"loop": "loop by hand", "walk": "`lab run`"}


class Work(NamedTuple):
    """How many batches are trained on."""

    batches: int


class Block(nn.Module):
    """Attention to what came before, and a perceptron, each behind a normalisation."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.project = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, _ = x.shape
        heads = self.qkv(self.norm1(x)).view(rows, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        share = self.dropout.p if self.training else 0.0
        read = F.scaled_dot_product_attention(*heads.unbind(), dropout_p=share, is_causal=True)
        x = x + self.dropout(self.project(read.transpose(1, 2).reshape(rows, length, WIDTH)))
        return x + self.dropout(self.down(self.dropout(F.gelu(self.up(self.norm2(x))))))


class Loop(nn.Module):
    """A GPT as one writes it by hand."""

    def __init__(self, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block(dropout) for _ in range(DEPTH))

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.dropout(self.tokens(tokens) + self.positions.weight[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def take(self, network: Any) -> None:
        """The weights of `lab`'s network."""
        pairs = [
            (self.tokens, network.embedding),
            (self.positions, network.positions),
            (self.blocks, network.blocks),
            (self.norm, network.norm),
        ]
        for own, other in pairs:
            for name, weights in own.named_parameters():
                weights.copy_(other.get_parameter(name))


def measure(quick: bool) -> dict[str, Any]:
    """Tokens per second of both sides, in turns, after a short run of each; and the losses of one batch."""
    batches, repetitions = (20, 1) if quick else (300, 5)
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    with ExitStack() as stack:
        workers = {}
        for name, side in SIDES.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            workers[name] = stack.enter_context(process(folder))
            workers[name](side, Work(20))
        losses = workers["loop"](same_batch, Work(1))
        for _ in range(repetitions):
            for name, side in SIDES.items():
                rates[name].append(batches * BATCH * CONTEXT / workers[name](side, Work(batches)))
                say(f"{name}: {rates[name][-1]:,.0f}")
    return {"batches": batches, "rates": rates, "losses": losses}


class Clock(Callback):
    """Takes the CPU seconds of a training, of all its threads."""

    seconds = 0.0

    def on_train_start(self, *_: object) -> None:
        Clock.seconds = -time.process_time()

    def on_train_end(self, *_: object) -> None:
        Clock.seconds += time.process_time()


def walk(work: Work) -> float:
    """All of `lab run`; the CPU seconds of its training."""
    from lab.runner.fit import fit

    fit(_recipe(work))
    return Clock.seconds


def loop(work: Work) -> float:
    """Windows from random places of the text, AdamW, a cosine for the learning rate."""
    text, network = _tokens(), Loop()
    optimizer = torch.optim.AdamW(network.parameters(), LR, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, work.batches)
    start = time.process_time()
    for _ in range(work.batches):
        places = torch.randint(len(text) - CONTEXT, (BATCH,)).tolist()
        windows = torch.stack([text[at : at + CONTEXT + 1] for at in places])
        loss = network(windows[:, :-1], windows[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return time.process_time() - start


def same_batch(_: Work) -> dict[str, float]:
    """The loss of both networks with the same weights on the same batch."""
    from lab.text.language_model import GPT, token_losses

    torch.manual_seed(0)
    network, own = GPT(VOCABULARY, CONTEXT, WIDTH, DEPTH, HEADS).eval(), Loop().eval()
    own.take(network)
    tokens = torch.randint(VOCABULARY, (BATCH, CONTEXT + 1))
    with torch.no_grad():
        ours = token_losses(network(tokens[:, :-1]), tokens).mean()
        return {"walk": float(ours), "loop": float(own(tokens[:, :-1], tokens[:, 1:]))}


SIDES: dict[str, Callable[[Work], float]] = {"loop": loop, "walk": walk}


def _tokens() -> Tensor:
    """The text for training, as `lab` encodes it."""
    from lab.runner.assemble import assemble

    data: Any = assemble(_recipe(Work(1))).data
    data.prepare_data()
    data.setup("fit")
    return data.train_tokens()


def _recipe(work: Work) -> Any:
    """The recipe that `lab` ships, without validation and test, which the loop lacks too."""
    from lab.recipe import load
    from lab.registry import find_recipe

    settings = {
        "trainer.max_steps": work.batches,
        "trainer.max_epochs": -1,
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
        "callbacks": f"[{{class_path: {Clock.__module__}.{Clock.__name__}}}]",
    }
    return load(find_recipe("language_model_python_help"), [f"{key}={value}" for key, value in settings.items()])


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as the loop."""
    return {"gpt": ratios(found["rates"]["walk"], found["rates"]["loop"])}


def report(found: dict[str, Any]) -> str:
    rates, losses = found["rates"], found["losses"]
    speed = statistics.median(ratios(rates["walk"], rates["loop"]))
    return "\n\n".join(
        [
            "## Language model",
            f"Tokens per second of CPU time of a GPT with {DEPTH} layers of width {WIDTH}, {HEADS} heads and "
            f"{VOCABULARY:,} tokens, on {found['batches']} batches of {BATCH} windows of {CONTEXT} tokens. The loop "
            "has AdamW, a schedule and nothing else. Medians (least to most), more is better.",
            table(["", *NAMES.values()], [["tokens per second", *(spread(rates[name], 0) for name in NAMES)]]),
            f"`lab run` is {speed:.2f} times as fast as the loop. With the same weights the loss of one batch is "
            f"{losses['walk']:.6f} and {losses['loop']:.6f}.",
        ]
    )
