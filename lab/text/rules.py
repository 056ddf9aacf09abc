"""Classification by hand-written rules: a regular expression for each class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lab.errors import BadSetting, unknown_name


class Rules:
    """The class of the first expression that is found in a text.

    >>> rules = Rules({"negative": "not good|bad", "positive": "good"}, ["negative", "positive"])
    >>> rules.classify("the soup was not good"), rules.classify("good soup"), rules.classify("a soup")
    (0, 1, None)

    Args:
        expressions: by class, in the order in which they are tried; upper and lower case are the same.
        names: of the classes.

    Raises:
        BadSetting: there is no such class, or something is no regular expression.
    """

    def __init__(self, expressions: Mapping[str, str], names: Sequence[str]) -> None:
        self.expressions: list[tuple[int, re.Pattern[str]]] = []
        for name, expression in expressions.items():
            if name not in names:
                raise unknown_name("rules", name, names)
            try:
                self.expressions.append((names.index(name), re.compile(expression, re.IGNORECASE)))
            except re.error as error:
                raise BadSetting("rules", f"{name}: not a regular expression: {error}") from None

    def classify(self, text: str) -> int | None:
        """The number of the class; None where no expression is found."""
        return next((number for number, expression in self.expressions if expression.search(text)), None)

    def accuracy(self, texts: Sequence[str], labels: Sequence[int]) -> float:
        """The share of the texts with the right class; a text without one is wrong."""
        return sum(self.classify(text) == label for text, label in zip(texts, labels, strict=True)) / len(texts)
