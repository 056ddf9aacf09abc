"""Words per second of skip-gram with negative sampling, beside gensim's, with few and with many different words.

It needs a package that nothing else does: pip install gensim
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.measure import process, ratios, say, spread, table

WINDOW, NEGATIVE, SIZE, LENGTH, BATCH = 5, 5, 100, 16, 256
NAMES = {"gensim": "gensim", "ours": "`word_vectors`"}
TEXTS = {"few": "the stories, 332 words", "many": "random words, 47,000 at most"}


class Work(NamedTuple):
    """
    Args:
        text: few or many different words.
        words: how many are trained on, some.
    """

    text: str
    words: int


def measure(quick: bool) -> dict[str, Any]:
    """Words per second of CPU time of both sides, in turns, after a short run of each."""
    words, repetitions = (20_000, 1) if quick else (150_000, 5)
    rates: dict[str, dict[str, list[float]]] = {text: {name: [] for name in SIDES} for text in TEXTS}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(process(Path(stack.enter_context(TemporaryDirectory())))) for name in SIDES
        }
        for text, found in rates.items():
            for name, side in SIDES.items():
                workers[name](side, Work(text, 20_000))
            for _ in range(repetitions):
                for name, side in SIDES.items():
                    found[name].append(workers[name](side, Work(text, words)))
                    say(f"{text}, {name}: {found[name][-1]:,.0f}")
    return {"words": words, "rates": rates}


def gensim(work: Work) -> float:
    from gensim.models import Word2Vec

    words = _words(work)
    texts = [words[at : at + 10_000] for at in range(0, len(words), 10_000)]  # as long as it takes them
    settings = {"vector_size": SIZE, "window": WINDOW, "negative": NEGATIVE, "sg": 1, "sample": 0, "min_count": 1}
    model = Word2Vec(workers=1, **settings)
    model.build_vocab(texts)
    start = time.process_time()
    model.train(texts, total_words=len(words), epochs=1)
    return len(words) / (time.process_time() - start)


def ours(work: Work) -> float:
    """The steps of a training: loss, gradient and optimizer, with as many rows of vectors as there are words."""
    from lab.text.vectors.vector_data import VectorData
    from lab.text.vectors.word_vectors import WordVectors

    words, file = _words(work), Path("words.txt")
    file.write_text(" ".join([*words, *words[: len(words) // 4]]))  # a part behind is for validation and test
    few = work.text == "few"
    settings = {"window": WINDOW, "negative": NEGATIVE, "vector_size": SIZE, "lr": 0.025}
    module = WordVectors(vocab_size=len(set(words)) + 4, sparse=not few, optimizer="sgd", **settings)
    data = VectorData("corpus", str(file), sample=None, length=LENGTH, batch_size=BATCH)
    data.connect(module)
    data.setup("fit")
    optimizer, loader = module.configure_optimizers(), data.train_dataloader()
    seen, start = 0, time.process_time()
    for batch in loader:
        optimizer.zero_grad()
        module.training_loss(batch, 0.0).backward()
        optimizer.step()
        seen += len(batch["tokens"]) * LENGTH
    return seen / (time.process_time() - start)


SIDES: dict[str, Callable[[Work], float]] = {"gensim": gensim, "ours": ours}


def _words(work: Work) -> list[str]:
    random = Random(0)
    if work.text == "many":
        return [f"w{int(47_000 * random.random() ** 3)}" for _ in range(work.words)]
    from lab.text.data.generated.stories import story

    words: list[str] = []
    while len(words) < work.words:
        words += story(random).split()
    return words


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as gensim."""
    return {f"word vectors, {text}": ratios(each["ours"], each["gensim"]) for text, each in found["rates"].items()}


def report(found: dict[str, Any]) -> str:
    few, many = (statistics.median(each) for each in speeds(found).values())
    computed, needed = LENGTH + 2 * WINDOW, WINDOW + 1
    return "\n\n".join(
        [
            "## Word vectors beside gensim",
            f"Words per second of CPU time of skip-gram with {NEGATIVE} negative samples, a window of {WINDOW}, {SIZE} "
            f"numbers a word, no subsampling and SGD, one pass over {found['words']:,} words. Medians (least to most), "
            "more is better.",
            table(
                ["", *NAMES.values()],
                [[TEXTS[text], *(spread(each[name], 0) for name in NAMES)] for text, each in found["rates"].items()],
            ),
            f"`word_vectors` is {few:.2f} times as fast as gensim with few words, and {many:.2f} times with many. "
            f"Gensim's loop computes the pairs of a window, {needed} for each word on average. Ours multiplies "
            f"matrices, which compute {computed} for each word, and share negative samples. With many words gensim "
            "waits for memory; with few ones all vectors lie in the nearest cache, and less is gained by products of "
            "matrices. In a profile of 36 steps with few words a third of the time went to the products, a quarter to "
            "the logarithms of the loss and their gradient, a seventh to the gradient of the vectors and a seventh to "
            "who is whose neighbour.",
        ]
    )
