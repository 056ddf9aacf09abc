"""Plain words and hand-written rules: what they leave, what they decide, and what is refused."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
import yaml

from lab.errors import BadSetting
from lab.registry import find_recipe
from lab.text.classify_text import ClassifyText
from lab.text.data.generated.lexicon import ACTIONS
from lab.text.data.generated.reviews import CLASSES, review
from lab.text.data.preprocessing import Preprocessor
from lab.text.data.text_data import TextData
from lab.text.rules import Rules

FACTS: dict[str, Any] = {"class_names": list(CLASSES)}


def test_stems_and_lemmas_join_the_forms_of_a_word() -> None:
    pytest.importorskip("simplemma")
    pytest.importorskip("snowballstemmer")
    lemma, stem = Preprocessor(["lemma"]), Preprocessor(["stem"])
    assert stem("Painters painted the PORTRAITS!") == "painter paint the portrait"
    assert all(lemma(present) == lemma(past) for present, past in ACTIONS)
    assert any(stem(present) != stem(past) for present, past in ACTIONS)  # caught is no catch with another ending
    assert Preprocessor(["stop_words", "lemma"])("the sailors were not caught") == "sailor catch"


def test_data_leaves_plain_words() -> None:
    whole, plain = TextData(max_texts=20), TextData(max_texts=20, preprocess=["stop_words"])
    for data in (whole, plain):
        data.tables = data.load_tables(test=False)  # type: ignore[assignment]
    step = Preprocessor(["stop_words"])
    assert plain.texts("train") == [step(text) for text in whole.texts("train")]


def test_a_missing_package_or_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="did you mean 'stop_words'"):
        TextData(preprocess=["stopwords"])  # type: ignore[list-item]
    monkeypatch.setitem(sys.modules, "simplemma", None)
    with pytest.raises(BadSetting, match=r"lemma needs a package .* pip install 'torch-lab\[words\]'"):
        TextData(preprocess=["lemma"])


def test_the_rules_of_the_recipe_decide_every_review() -> None:
    rules = Rules(yaml.safe_load(find_recipe("classify_text_rules").read_text())["model"]["rules"], CLASSES)
    texts, labels = zip(*(review(Random(i)) for i in range(500)), strict=True)
    assert rules.accuracy(texts, labels) == 1
    assert rules.accuracy(["a text"], [0]) == 0


def test_rules_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(BadSetting, match="rules: there is no 'positve'; did you mean 'positive'"):
        ClassifyText(**FACTS, rules={"positve": "good"})
    with pytest.raises(BadSetting, match="positive: not a regular expression: missing"):
        ClassifyText(**FACTS, rules={"positive": "(good"})
