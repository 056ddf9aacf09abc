"""Classical classifiers of texts that stand beside every network: naive Bayes and a linear support vector machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NGRAMS = (1, 2)  # words, and pairs of neighbours, so that `not good` is seen


def baseline_accuracies(
    texts: Sequence[str], labels: Sequence[int], test_texts: Sequence[str], test_labels: Sequence[int]
) -> dict[str, float]:
    """The accuracy on the test of scikit-learn's classifiers with their default settings, on words and word pairs.

    >>> found = baseline_accuracies(["good soup", "stale bread"], [1, 0], ["good bread", "stale soup"], [1, 0])
    >>> sorted(found)
    ['linear_svm', 'naive_bayes']

    Args:
        texts: to learn from.
        labels: their classes.
        test_texts: to classify.
        test_labels: their classes.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    pipelines: dict[str, Any] = {
        "naive_bayes": make_pipeline(CountVectorizer(ngram_range=NGRAMS), MultinomialNB()),
        "linear_svm": make_pipeline(TfidfVectorizer(ngram_range=NGRAMS), LinearSVC(random_state=0)),
    }
    return {
        name: float(pipeline.fit(texts, labels).score(test_texts, test_labels)) for name, pipeline in pipelines.items()
    }


def nearest_answers(sources: Sequence[str], targets: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The target of the source that is most similar to each text, by the cosine of their TF-IDF vectors.

    >>> nearest_answers(["the old dog", "a red house"], ["lo kano veto", "una doma ruba"], ["the old house dog"])
    ['lo kano veto']

    Args:
        sources: texts whose targets are known.
        targets: one for each of them.
        asked: texts without one.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\S+")
    known = vectorizer.fit_transform(sources)
    found = (vectorizer.transform(asked) @ known.T).toarray().argmax(1)
    return [targets[row] for row in found]
