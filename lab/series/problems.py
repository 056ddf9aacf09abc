"""Sequences with a known answer, of any length: adding, copying, brackets, oscillations, and digits row by row.

Sources: Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9, 1997 (adding); Arjovsky, Shah and
Bengio, Unitary evolution recurrent neural networks, ICML 2016 (copying); Chomsky and Schützenberger, The algebraic
theory of context-free languages, 1963 (Dyck words).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch.nn import functional as F

from lab.data import Table, seed_from, stratified_permutation
from lab.errors import BadSetting

Split = Literal["train", "test"]
UNLABELED = -1  # the label of a step that is not scored
SYMBOLS, REMEMBERED = 8, 10  # of the copying problem
BRACKETS = "([)]"


def adding(split: Split, count: int, length: int, seed: int) -> Table:
    """At each step a number from 0 to 1 and a mark, two of which are 1: the target is the sum of the marked numbers."""
    random = _generator(split, seed)
    values = torch.rand(count, length, generator=random)
    half = length // 2
    first = torch.randint(half, (count,), generator=random)
    second = torch.randint(half, length, (count,), generator=random)
    marks = F.one_hot(first, length) + F.one_hot(second, length)
    return Table({"x": torch.stack([values, marks.float()], 2), "target": (values * marks).sum(1)})


def copying(split: Split, count: int, length: int, seed: int) -> Table:
    """Ten symbols, a wait of `length` steps, and a mark; from then on the ten symbols are to be named in order."""
    word = torch.randint(SYMBOLS, (count, REMEMBERED), generator=_generator(split, seed))
    blank, mark = SYMBOLS, SYMBOLS + 1
    x = torch.full((count, length + 2 * REMEMBERED), blank)
    x[:, :REMEMBERED], x[:, -REMEMBERED] = word, mark
    labels = torch.full_like(x, UNLABELED)
    labels[:, -REMEMBERED:] = word
    return Table({"x": x.to(torch.uint8), "labels": labels})


def dyck(split: Split, count: int, length: int, seed: int) -> Table:
    """Well-formed brackets of two kinds; at each step the label is the bracket that has to be closed next, or none.

    Whether a bracket opens or closes is chosen evenly, wherever both are possible.
    """
    if length % 2:
        raise BadSetting("length", f"brackets come in pairs: expected an even number, found {length}")
    random = _generator(split, seed)
    opens = torch.rand(count, length, generator=random) < 0.5
    kinds = torch.randint(2, (count, length), generator=random)
    stack, depth = torch.zeros(count, length + 1, dtype=torch.long), torch.zeros(count, dtype=torch.long)
    rows, x, labels = torch.arange(count), [], []
    for t in range(length):
        opening = ((depth == 0) | opens[:, t]) & (depth < length - t)  # all that is open can be closed in time
        top = stack[rows, depth]
        x.append(torch.where(opening, kinds[:, t], 1 + top))
        depth = depth + torch.where(opening, 1, -1)
        stack[rows[opening], depth[opening]] = 1 + kinds[opening, t]
        labels.append(torch.where(depth > 0, stack[rows, depth], 0))
    return Table({"x": torch.stack(x, 1).to(torch.uint8), "labels": torch.stack(labels, 1)})


def matched(split: Split, count: int, length: int, seed: int) -> Table:
    """Brackets of one kind at random; each is labelled by whether it has a partner, before or behind it."""
    closes = torch.rand(count, length, generator=_generator(split, seed)) < 0.5
    height = torch.where(closes, -1, 1).cumsum(1)
    before = F.pad(height, (1, 0))[:, :-1]
    lowest_before = F.pad(height, (1, 0)).cummin(1).values[:, :-1]
    lowest_behind = height.flip(1).cummin(1).values.flip(1)
    partner = torch.where(closes, lowest_before < before, lowest_behind < height)
    return Table({"x": closes.to(torch.uint8), "labels": partner.long()})


def oscillation(split: Split, count: int, length: int, seed: int) -> Table:
    """One step that says frequency and phase, and blank ones: the targets are the damped oscillation at every step."""
    frequency, phase = torch.rand(2, count, 1, generator=_generator(split, seed))
    time = torch.arange(length) / length
    targets = torch.exp(-2 * time) * torch.sin(2 * math.pi * ((1 + 2 * frequency) * time + phase))
    x = torch.zeros(count, length, 4)
    angle = 2 * math.pi * phase
    x[:, 0] = torch.cat([frequency, angle.sin(), angle.cos(), torch.ones_like(phase)], 1)
    return Table({"x": x, "targets": targets})


def digit_rows(split: Split, count: int, length: int, seed: int) -> Table:  # noqa: ARG001 - they are what they are
    """Scikit-learn's 1,797 scans as eight rows of eight pixels, from the top; a fifth of them is the test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = torch.from_numpy(found.images / 16).float(), torch.from_numpy(found.target).long()
    order, tested = stratified_permutation(labels, seed=0), len(labels) // 5
    chosen = order[:tested] if split == "test" else order[tested:]
    return Table({"x": images[chosen], "label": labels[chosen]})


def digit_pixels(split: Split, count: int, length: int, seed: int) -> Table:
    """The same as 64 single pixels, row by row."""
    rows = digit_rows(split, count, length, seed)
    return rows.assign({"x": rows["x"].flatten(1).unsqueeze(2)})


def _generator(split: Split, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_from(seed, int(split == "test")))
