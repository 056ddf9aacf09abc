"""Texts as plain words: in lower case, without stop words, with stems or lemmas in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal, get_args

from lab.errors import BadSetting, unknown_name

Step = Literal["stop_words", "stem", "lemma"]
STEPS = get_args(Step)
WORD = re.compile(r"[^\W_]+")
Words = list[str]


class Preprocessor:
    """
    >>> Preprocessor(["stop_words"])("The soup was not GOOD!")
    'soup good'

    Args:
        steps: taken one after the other: stop_words leaves out scikit-learn's English stop words, stem cuts endings off
            (Snowball), lemma puts the form of a dictionary in the place of a word (simplemma).

    Raises:
        BadSetting: there is no such step, or its package is not installed.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step not in STEPS:
                raise unknown_name("preprocess", step, STEPS, {"stopwords": "stop_words", "stemming": "stem"})
        self.steps = [MAKERS[step]() for step in steps]

    def __call__(self, text: str) -> str:
        words = WORD.findall(text.lower())
        for step in self.steps:
            words = step(words)
        return " ".join(words)


def _without_stop_words() -> Callable[[Words], Words]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return lambda words: [word for word in words if word not in ENGLISH_STOP_WORDS]


def _stems() -> Callable[[Words], Words]:
    stems: Callable[[Words], Words] = _package("snowballstemmer", "stem").stemmer("english").stemWords
    return stems


def _lemmas() -> Callable[[Words], Words]:
    lemma = partial(_package("simplemma", "lemma").lemmatize, lang="en")
    return lambda words: [lemma(word) for word in words]


def _package(name: str, step: Step) -> Any:
    try:
        return import_module(name)
    except ImportError:
        needs = f"{step} needs a package that is not installed: pip install 'torch-lab[words]'"
        raise BadSetting("preprocess", needs) from None


MAKERS: dict[Step, Callable[[], Callable[[Words], Words]]] = {
    "stop_words": _without_stop_words,
    "stem": _stems,
    "lemma": _lemmas,
}
