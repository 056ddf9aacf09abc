"""Texts that are like each other: TF-IDF vectors, similarities by name, search, and groups of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.errors import BadSetting, unknown_name

Similarity = Literal["cosine", "euclidean", "jaccard"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "euclidean", "jaccard")
Scores = NDArray[np.float64]


class Found(NamedTuple):
    """
    Args:
        row: of the text among those that were searched.
        score: its similarity, 1 for the same words; of `euclidean` the distance with a minus.
    """

    row: int
    score: float


class TextIndex:
    """Texts to search in.

    >>> index = TextIndex(["the cat sat on the mat", "the dog ran", "cats and dogs"])
    >>> index.search("a cat on a mat", count=1)[0].row
    0

    Args:
        texts: one at least, with a word in any of them.

    Raises:
        BadSetting: there is none, or no word in them.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        self.texts = list(texts)
        if not any(text.strip() for text in self.texts):
            raise BadSetting("texts", "there is no word in them")
        self.tfidf = TfidfVectorizer(token_pattern=r"[^\W_]+")
        self.words = CountVectorizer(token_pattern=r"[^\W_]+", binary=True)
        try:
            self.vectors: Any = self.tfidf.fit_transform(self.texts)  # sparse, (N, words), each of length 1
        except ValueError:
            raise BadSetting("texts", "there is no word in them") from None
        self.sets: Any = self.words.fit_transform(self.texts)

    def similarities(self, texts: Sequence[str], similarity: Similarity = "cosine") -> Scores:
        """The similarity of each text to each that is searched, (M, N).

        `cosine` and `euclidean` are of TF-IDF vectors of length 1, so they rank alike; `jaccard` is the share of the
        words of both that both have.

        Raises:
            BadSetting: there is no such similarity.
        """
        if similarity not in SIMILARITIES:
            raise unknown_name("similarity", similarity, SIMILARITIES, {"euclid": "euclidean", "cos": "cosine"})
        if similarity == "jaccard":
            sets = self.words.transform(texts)
            # words that no searched text has are in no vocabulary, and belong to the union all the same
            sizes = np.array([len(set(self.words.build_analyzer()(text))) for text in texts], dtype=np.float64)
            both = (sets @ self.sets.T).toarray().astype(np.float64)
            union = sizes[:, None] + np.asarray(self.sets.sum(1)).T - both
            shares: Scores = both / np.maximum(union, 1)
            return shares
        vectors = self.tfidf.transform(texts)
        cosines: Scores = (vectors @ self.vectors.T).toarray()
        if similarity == "cosine":
            return cosines
        from sklearn.metrics.pairwise import euclidean_distances

        distances: Scores = -euclidean_distances(vectors, self.vectors)
        return distances

    def search(self, text: str, count: int = 5, similarity: Similarity = "cosine") -> list[Found]:
        """The most similar texts, the best one first."""
        scores = self.similarities([text], similarity)[0]
        return [Found(int(row), float(scores[row])) for row in np.argsort(-scores, kind="stable")[:count]]


def precision_at(scores: Scores, labels: Sequence[int], asked: Sequence[int], count: int = 5) -> float:
    """The share of the `count` best texts that have the label that is asked for, over all questions.

    >>> precision_at(np.array([[0.9, 0.1, 0.8]]), labels=[1, 0, 0], asked=[1], count=2)
    0.5
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return float((np.asarray(labels)[best] == np.asarray(asked)[:, None]).mean())


def cluster(places: Scores, count: int, seed: int = 0) -> NDArray[np.int64]:
    """The group of each text, (N,), by k-means on its `directions`; of fewer texts there are fewer groups."""
    from sklearn.cluster import KMeans

    groups: NDArray[np.int64] = KMeans(min(count, len(places)), n_init=10, random_state=seed).fit_predict(places)
    return groups


def directions(index: TextIndex, count: int, seed: int = 0) -> Scores:
    """The coordinates of each text on the main directions of the TF-IDF vectors, (N, count), as vectors of length 1.

    It is latent semantic analysis: a truncated singular value decomposition.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    most = min(count, min(index.vectors.shape) - 1)
    if most < 1:
        return np.zeros((len(index.texts), 1))
    found: Scores = normalize(TruncatedSVD(most, random_state=seed).fit_transform(index.vectors))
    return found
