"""Word vectors: losses against their definitions, files in the real formats, and what generated stories teach."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from lightning import Trainer

from lab.errors import BadSetting
from lab.text.data.generated.lexicon import analogies, rare_words, similarities, word_features
from lab.text.data.generated.stories import story, uneven_story
from lab.text.data.word_tests import read_analogies, read_similarities
from lab.text.vectors import objectives
from lab.text.vectors.cooccurrences import cooccurrences
from lab.text.vectors.evaluation import analogy_scores, rare_pairs, similarity_correlation
from lab.text.vectors.glove import GloVe
from lab.text.vectors.huffman import huffman_paths
from lab.text.vectors.objectives import WindowEmbeddings
from lab.text.vectors.plots import word_map
from lab.text.vectors.vector_data import VectorData, stretches
from lab.text.vectors.word_vectors import SPARSE, WordVectors

TEXT = torch.tensor([4, 5, 6, 4, 7, 5, 6])


def network(**settings: Any) -> WindowEmbeddings:
    torch.manual_seed(0)
    chosen = {"window": 2, "cbow": False, "output": "negative_sampling", "negative": 5} | settings
    made = WindowEmbeddings(vocab_size=8, vector_size=6, **chosen)
    torch.nn.init.normal_(made.vectors.weight)
    torch.nn.init.normal_(made.context_vectors.weight)
    made.counts.copy_(TEXT.bincount(minlength=8))
    return made.eval()


def neighbours(window: int) -> list[tuple[int, list[int]]]:
    """Each word of the text with those around it."""
    words = TEXT.tolist()
    return [
        (word, [words[j] for j in range(len(words)) if j != i and abs(i - j) <= window]) for i, word in enumerate(words)
    ]


def path_loss(made: WindowEmbeddings, hidden: torch.Tensor, word: int) -> torch.Tensor:
    """-log p of a word by the hierarchical softmax."""
    nodes, branches = huffman_paths(made.counts.tolist())
    scores = made.context_vectors.weight[nodes[word]] @ hidden
    signs = 2 * branches[word] - 1
    return -torch.nn.functional.logsigmoid(signs * scores).sum()


@pytest.mark.parametrize("cbow", [False, True])
def test_the_hierarchical_loss_is_the_mean_over_all_pairs(cbow: bool) -> None:
    made = network(output="hierarchical_softmax", cbow=cbow)
    losses = []
    for word, near in neighbours(2):
        inputs = made.vectors.weight[near]
        losses += [path_loss(made, hidden, word) for hidden in ([inputs.mean(0)] if cbow else inputs)]
    rows = stretches(TEXT, window=2, length=len(TEXT))
    torch.testing.assert_close(made.loss(rows)[0], torch.stack(losses).mean())


@pytest.mark.parametrize("cbow", [False, True])
def test_the_softmax_is_over_the_words_of_the_text(cbow: bool) -> None:
    made = network(output="softmax", cbow=cbow)
    known, losses = made.counts > 0, []
    for word, near in neighbours(2):
        inputs = made.vectors.weight[near]
        for hidden in [inputs.mean(0)] if cbow else inputs:
            scores = made.context_vectors.weight @ hidden
            losses.append(scores[known].logsumexp(0) - scores[word])
    rows = torch.nn.functional.pad(stretches(TEXT, window=2, length=len(TEXT)), (0, 2))  # with words that are none
    torch.testing.assert_close(made.loss(rows)[0], torch.stack(losses).mean())


def test_probabilities_of_the_tree_sum_to_one() -> None:
    made, hidden = network(output="hierarchical_softmax"), torch.randn(6)
    total = sum(math.exp(-path_loss(made, hidden, word).item()) for word in range(8))
    assert total == pytest.approx(1)


@pytest.mark.parametrize("cbow", [False, True])
def test_the_sampled_loss_has_the_expectation_of_word2vec(cbow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many samples the shared ones have the mean of samples of their own, weighted by frequency to 0.75."""
    monkeypatch.setattr(objectives, "SHARED_NEGATIVES", 200_000)
    made = network(cbow=cbow)
    noise = made.counts.pow(0.75) / made.counts.pow(0.75).sum()
    losses = []
    for word, near in neighbours(2):
        inputs = made.vectors.weight[near]
        for hidden in [inputs.mean(0)] if cbow else inputs:
            scores = made.context_vectors.weight @ hidden
            wrong = (noise * torch.nn.functional.softplus(scores)).sum()
            losses.append(torch.nn.functional.softplus(-scores[word]) + 5 * wrong)
    found = made.loss(stretches(TEXT, window=2, length=len(TEXT)))[0]
    torch.testing.assert_close(found, torch.stack(losses).mean(), rtol=0.01, atol=0.01)


def test_rows_have_the_pairs_of_the_text_whatever_their_length() -> None:
    made = network(output="hierarchical_softmax")
    for length in (2, 3, 7):
        rows = stretches(TEXT, window=2, length=length)
        pairs = made._near(rows).sum((1, 2))
        mean = (made.loss(rows) * pairs).sum() / pairs.sum()
        torch.testing.assert_close(mean, made.loss(stretches(TEXT, window=2, length=7))[0])


def test_frequent_words_have_short_paths() -> None:
    nodes, branches = huffman_paths([8, 1, 1, 2, 4])
    assert nodes.lengths.tolist() == [1, 4, 4, 3, 2]
    codes = ["".join(map(str, branches[i].tolist())) for i in range(5)]
    assert not any(a != b and b.startswith(a) for a in codes for b in codes)
    assert all(int(nodes[i][0]) == 0 for i in range(5))


def test_cooccurrences_are_counted_by_their_distance() -> None:
    expected: Counter[tuple[int, int]] = Counter()
    words = TEXT.tolist()
    for i, first in enumerate(words):
        for j, second in enumerate(words):
            if 0 < abs(i - j) <= 3:
                expected[first, second] += 1 / abs(i - j)  # type: ignore[assignment]
    pairs, counts = cooccurrences(TEXT, vocab_size=8, window=3)
    found = {(a, b): count for (a, b), count in zip(pairs.tolist(), counts.tolist(), strict=True)}
    assert found == pytest.approx(dict(expected))


def test_glove_weights_squared_errors_of_logarithms() -> None:
    made = GloVe(8, 6)
    pairs, counts = torch.tensor([[[4, 5], [6, 7]]]), torch.tensor([[3.0, 0.0]])
    score = made.vectors.weight[4] @ made.context_vectors.weight[5]
    expected = (3 / 100) ** 0.75 * (score - math.log(3)) ** 2 / 2  # what never met has no weight
    torch.testing.assert_close(made.loss(pairs, counts)[0], expected)


def test_correlations_and_analogies_take_known_words_alone() -> None:
    vectors, index = torch.eye(4), {"a": 0, "b": 1, "c": 2, "d": 3}
    assert analogy_scores(vectors, index, [("a", "b", "c", "zebra")]).asked == 0
    correlation, pairs = similarity_correlation(vectors, index, [("a", "zebra", 1.0)])
    assert math.isnan(correlation)
    assert pairs == 0


def test_the_given_words_are_no_answers_unless_they_may_be() -> None:
    vectors = torch.tensor([[1.0, 0, 0], [1, 0, 0.1], [0, 1, 0], [0, 1, 0.4]])  # the nearest to b - a + c is c
    scores = analogy_scores(vectors, {"a": 0, "b": 1, "c": 2, "d": 3}, [("a", "b", "c", "d")])
    assert (scores.accuracy, scores.with_given_words) == (1, 0)


def test_what_is_known_of_words_hangs_together() -> None:
    features = word_features()
    for questions in analogies().values():
        for a, b, c, d in questions:
            assert len(features[a] - features[b]) == len(features[c] - features[d]) == 1
    assert {degree for *_, degree in similarities()} == {0.0, 0.2, 0.5, 1.0}


BAD_FILES = {
    "empty": ("analogies", "", "has no questions"),
    "three words": (
        "analogies",
        ": family\nboy girl king\n",
        "words.txt:2: expected four words, found 'boy girl",
    ),
    "no kind": ("analogies", "boy girl king queen\n", "words.txt:1: expected a line such as `: family`"),
    "two columns": ("similarity", "a,b\nx,y\n", "has 2 columns; expected two words and a number"),
    "no number": ("similarity", "a,b,c\nx,y,high\n", "words.txt:2: column c: expected a number, found 'high'"),
    "no word": ("similarity", "a,b,c\nx, ,3\n", "words.txt:2: a word is missing"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused(case: str, tmp_path: Path) -> None:
    setting, content, message = BAD_FILES[case]
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(BadSetting, match=message) as caught:
        VectorData(**{setting: str(path)})  # type: ignore[arg-type]
    assert caught.value.key == setting


def test_files_in_the_formats_of_the_real_sets_are_read(tmp_path: Path) -> None:
    pairs, questions = tmp_path / "combined.tab", tmp_path / "questions-words.txt"
    pairs.write_text("Word 1\tWord 2\tHuman (mean)\nlove\tsex\t6.77\nTiger\tcat\t7.35\n")
    questions.write_text(": capital-common-countries\nAthens Greece Baghdad Iraq\n: family\nboy girl brother sister\n")
    assert read_similarities(pairs) == [("love", "sex", 6.77), ("tiger", "cat", 7.35)]
    pairs.write_text("word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\n")
    assert read_similarities(pairs) == [("old", "new", 1.58)]
    assert read_analogies(questions) == {
        "capital-common-countries": [("athens", "greece", "baghdad", "iraq")],
        "family": [("boy", "girl", "brother", "sister")],
    }


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(BadSetting, match=r"needs model.optimizer sgd or adagrad"):
        WordVectors(sparse=True)
    with pytest.raises(BadSetting, match="glove has no softmax"):
        WordVectors(method="glove", output="hierarchical_softmax")
    with pytest.raises(BadSetting, match="is not generated"):
        VectorData("python_help", max_texts=100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"optimizer": "adagrad", "sparse": True, "lr": 0.1}, 4),
        pytest.param({"method": "cbow", "lr": 1e-2}, 6, marks=pytest.mark.long),
        pytest.param({"method": "glove", "lr": 1e-2}, 20, marks=pytest.mark.long),
    ],
)
def test_planted_meanings_are_found(settings: dict[str, Any], epochs: int, drawn: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = WordVectors(vector_size=48, **settings)
    data = VectorData(max_texts=8_000)
    data.connect(module)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=1, limit_val_batches=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    scores = trainer.test(module, datamodule=data, verbose=False)[0]
    assert scores["test/analogies/asked"] == 624
    assert scores["test/analogies/chance"] < 0.01
    assert scores["test/spearman"] > 0.75
    assert scores["test/analogies/accuracy"] > 0.75
    assert drawn.keys() == {"words.png"}


@pytest.mark.parametrize(("pairs", "said"), [([("a", "b"), ("c", "d")], ["first of a pair", "second"]), ([], None)])
def test_the_map_tells_the_words_of_a_pair_apart(pairs: list[tuple[str, str]], said: list[str] | None) -> None:
    drawing = word_map(torch.randn(4, 3), dict(zip("abcd", range(4), strict=True)), {"kind": pairs})
    assert [[text.get_text() for text in legend.texts] for legend in drawing.legends] == ([said] if said else [])
    assert sorted(text.get_text() for text in drawing.axes[0].texts) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("optimizer", SPARSE)
@pytest.mark.parametrize("output", ["negative_sampling", "softmax"])
def test_a_sparse_step_changes_the_vectors_of_its_words(optimizer: Any, output: Any) -> None:
    module = WordVectors(output=output, sparse=True, optimizer=optimizer, lr=0.1, vocab_size=16, window=2)
    assert isinstance(module.network, WindowEmbeddings)
    module.network.counts.fill_(1)
    before, steps = module.network.word_vectors().clone(), module.configure_optimizers()
    for _ in range(2):  # the other vectors begin at 0
        steps.zero_grad()
        module.training_loss({"tokens": stretches(TEXT, window=2, length=len(TEXT))}, 0.0).backward()
        steps.step()
    changed = (module.network.word_vectors() != before).any(1).nonzero().flatten().tolist()
    assert changed == sorted({*TEXT.tolist()})


def test_half_of_the_words_of_uneven_stories_are_rare() -> None:
    words = {write: Counter(" ".join(map(write, [Random(0)] * 4_000)).split()) for write in (story, uneven_story)}
    ratio = {word: words[uneven_story][word] / words[story][word] for word in word_features()}
    rare, common = ([ratio[word] for word in ratio if (word in rare_words()) == kind] for kind in (True, False))
    assert 0.4 < len(rare) / len(ratio) < 0.6
    assert max(rare) < 0.2
    assert min(common) > 1.2


def test_the_correlation_of_rare_words_is_that_of_pairs_with_one() -> None:
    index = {word: i for i, word in enumerate("abcdef")}
    pairs = [("a", "b", 1.0), ("a", "d", 0.1), ("c", "e", 0.2), ("e", "f", 0.9), ("a", "unknown", 0.5)]
    assert rare_pairs(index, pairs) == pairs[1:4], "d, e and f are the rarer half"
