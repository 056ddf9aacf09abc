"""Names as spans of words, and the F1 score over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

OUTSIDE = "O"


class Span(NamedTuple):
    """The words from `start` to before `end` are one name of a kind."""

    kind: str
    start: int
    end: int


def spans(tags: Sequence[str]) -> list[Span]:
    """The names in a sentence, as the script conlleval of the CoNLL tasks finds them.

    `B-` begins a name and `I-` goes on; an `I-` behind another kind, or behind none, begins one too. Tags without such
    a prefix, as parts of speech, are names of one word.

    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [Span(kind='PER', start=0, end=2), Span(kind='LOC', start=3, end=4), Span(kind='LOC', start=4, end=5)]
    """
    found: list[Span] = []
    for i, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        prefix, dash, kind = tag.partition("-")
        goes_on = dash and prefix in ("I", "E") and found and found[-1].end == i and found[-1].kind == kind
        if goes_on:
            found[-1] = found[-1]._replace(end=i + 1)
        else:
            found.append(Span(kind if dash and len(prefix) == 1 else tag, i, i + 1))
    return found


class SpanF1(Metric):
    """Precision, recall and F1 over all spans: one counts if its kind, its first and its last word are right.

    >>> metric = SpanF1(["O", "B-PER", "I-PER"])
    >>> metric.update(torch.tensor([[1, 2, 0]]), torch.tensor([[1, 0, 0]]), torch.tensor([[True, True, True]]))
    >>> float(metric.compute()["f1"])
    0.0

    Args:
        names: of the tags.
    """

    right: Tensor
    predicted: Tensor
    actual: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)
        for state in ("right", "predicted", "actual"):
            self.add_state(state, torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, actual: Tensor, mask: Tensor) -> None:
        """Tags (B, T) as numbers; the mask (B, T) is true where a word stands."""
        lengths = mask.sum(1).tolist()
        for length, *rows in zip(lengths, predicted.tolist(), actual.tolist(), strict=True):
            found, known = (set(spans([self.names[tag] for tag in row[:length]])) for row in rows)
            self.right += len(found & known)
            self.predicted += len(found)
            self.actual += len(known)

    def compute(self) -> dict[str, Tensor]:
        precision, recall = self.right / self.predicted.clamp(min=1), self.right / self.actual.clamp(min=1)
        f1 = 2 * self.right / (self.predicted + self.actual).clamp(min=1)
        return {"precision": precision, "recall": recall, "f1": f1}
