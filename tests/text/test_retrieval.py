"""Search and groups of texts, against worked examples and definitions."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
import pytest

from lab.errors import BadSetting
from lab.text import plots
from lab.text.data.generated.news import news
from lab.text.retrieval import SIMILARITIES, TextIndex, cluster, directions, precision_at

TEXTS = ["the cat sat on the mat", "the dog sat", "green ideas sleep", "the dog and the cat"]


def vector(text: str) -> dict[str, float]:
    """TF-IDF of length 1, as scikit-learn smooths it: idf = log((1 + N) / (1 + n)) + 1."""
    known = {word for each in TEXTS for word in each.split()}
    counts = Counter(word for word in text.split() if word in known)
    idf = {w: math.log((1 + len(TEXTS)) / (1 + sum(w in each.split() for each in TEXTS))) + 1 for w in counts}
    length = math.sqrt(sum((counts[word] * idf[word]) ** 2 for word in counts))
    return {word: counts[word] * idf[word] / length for word in counts}


@pytest.mark.parametrize("text", ["the cat", "a green dog", "the dog sat"])
def test_similarities_are_those_of_their_definitions(text: str) -> None:
    index, mine = TextIndex(TEXTS), vector(text)
    for row, other in enumerate(TEXTS):
        theirs = vector(other)
        cosine = sum(mine[word] * theirs.get(word, 0) for word in mine)
        distance = math.sqrt(sum((mine.get(w, 0) - theirs.get(w, 0)) ** 2 for w in {*mine, *theirs}))
        first, second = set(text.split()), set(other.split())
        jaccard = len(first & second) / len(first | second)
        found = [index.similarities([text], each)[0, row] for each in SIMILARITIES]
        assert found == pytest.approx([cosine, -distance, jaccard], abs=1e-6)


def test_the_most_similar_text_comes_first() -> None:
    index = TextIndex(TEXTS)
    for similarity in SIMILARITIES:
        best = index.search("dog sat", count=2, similarity=similarity)
        assert best[0].row == 1
        assert best[0].score > best[1].score
    assert index.search("zebra")[0].score == 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(BadSetting, match="cosine"):
        TextIndex(TEXTS).similarities(["a"], "cosin")  # type: ignore[arg-type]
    for nothing in ([], ["", " "], ["..."]):
        with pytest.raises(BadSetting, match="there is no word"):
            TextIndex(nothing)


def test_precision_counts_the_best_texts_alone() -> None:
    scores = np.array([[0.9, 0.8, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4]])
    assert precision_at(scores, labels=[0, 1, 0, 1], asked=[0, 1], count=2) == 0.5
    assert precision_at(scores, labels=[0, 1, 0, 1], asked=[0, 1], count=1) == 1


def test_topics_are_found_without_labels() -> None:
    random = Random(0)
    texts, labels = zip(*(news(random) for _ in range(300)), strict=True)
    index = TextIndex(texts[50:])
    precision = precision_at(index.similarities(texts[:50]), labels[50:], labels[:50])
    assert precision > 2.5 / 6  # two and a half times chance
    assert directions(index, 6).shape == (250, 6)
    assert len(set(cluster(directions(index, 6), 6).tolist())) == 6


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_texts_are_grouped_and_drawn(count: int) -> None:
    places = directions(TextIndex(TEXTS[:count]), 3)
    found = cluster(places, 3).tolist()
    assert len(set(found)) <= count
    assert len(plots.groups(places, [0] * count, ["cats"], found, 1.0).axes) == 2


def test_a_group_looks_like_the_class_that_it_matches() -> None:
    places = np.array([[0.9, 0.1, 0.2], [0.9, 0.3, 0.4], [0.9, -0.5, 0.6], [0.9, -0.7, 0.8]])
    drawing = plots.groups(places, [0, 0, 1, 1], ["cats", "dogs", "birds"], [2, 2, 0, 1], -0.001)
    classes, groups = drawing.axes
    assert (classes.get_xlabel(), classes.get_ylabel()) == ("second main direction", "third main direction")
    assert groups.get_title(loc="left") == "k-means (adjusted Rand index 0.00)"
    for axes, sizes in ((classes, [2, 2, 0]), (groups, [2, 1, 1])):
        assert [len(dots.get_offsets()) for dots in axes.collections] == sizes
    np.testing.assert_allclose(groups.collections[0].get_offsets(), places[:2, 1:])
    shapes = {dots.get_paths()[0].vertices.tobytes() for dots in classes.collections}
    assert len(shapes) == 3  # told apart without colours, too
