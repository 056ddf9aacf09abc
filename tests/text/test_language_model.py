"""The task `language_model`: windows, losses against closed forms, sampling, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch.nn import functional as F

from lab.errors import BadInput, BadSetting
from lab.text.data.columns import to_texts
from lab.text.data.corpora import find_corpus, read_corpus
from lab.text.data.corpus_data import CorpusData, windows
from lab.text.gpt import GPT, Block
from lab.text.language_model import LanguageModel, MeanPerPosition, token_losses
from lab.text.ngrams import ngram_losses
from lab.text.tokenizer import SPECIAL

SENTENCE = "the cat saw the dog . "


def model(**settings: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(**{"context": 8, "width": 16, "depth": 1, "heads": 2, "vocab_size": 300} | settings)


def data_for(module: LanguageModel, path: Path, text: str = SENTENCE * 200, **settings: Any) -> CorpusData:
    path.write_text(text)
    data = CorpusData("corpus", str(path), **settings)
    data.connect(module)
    return data


def test_a_token_sees_none_that_come_after_it() -> None:
    network = GPT(vocab_size=50, context=8, width=16, depth=2).eval()
    tokens = torch.randint(50, (2, 8))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 50
    first, other = network(tokens), network(changed)
    torch.testing.assert_close(first[:, :5], other[:, :5])
    assert not torch.allclose(first[:, 5:], other[:, 5:])


@pytest.mark.parametrize("training", [False, True])
def test_attention_is_the_same_by_one_kernel_and_written_out(training: bool) -> None:
    block = Block(16, heads=2, dropout=1e-9).train(training)  # written out, because of it, and nothing is dropped
    query, key, value = torch.randn(3, 2, 2, 5, 8).unbind()
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(block._attend(query, key, value), expected)


def test_losses_are_those_of_the_next_token() -> None:
    tokens = torch.tensor([[1, 2, 0]])
    logits = torch.randn(1, 2, 3)
    probabilities = logits.softmax(2)
    expected = [-probabilities[0, 0, 2].log(), -probabilities[0, 1, 0].log()]
    torch.testing.assert_close(token_losses(logits, tokens)[0], torch.stack(expected))


def test_every_token_is_predicted_once() -> None:
    tokens = torch.arange(20)
    found = windows(tokens, context=4)
    assert found[:, 1:].flatten().tolist() == list(range(1, 17))
    assert torch.equal(found[1:, 0], found[:-1, -1])


def test_the_means_of_positions_are_over_all_rows() -> None:
    metric, rows = MeanPerPosition(3), torch.rand(7, 3)
    metric.update(rows[:4])
    metric.update(rows[4:])
    torch.testing.assert_close(metric.compute(), rows.mean(0))


def test_counted_models_reach_the_entropy_of_their_order() -> None:
    """Of a chain that goes on to the next state or stays, each half of the time: log 4 and log 2."""
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, (50_000,), generator=random).cumsum(0) % 4
    losses = ngram_losses(tokens, 4, tokens[None, -10_000:])
    assert losses["unigram"] == pytest.approx(math.log(4), abs=0.01)
    assert losses["bigram"] == pytest.approx(math.log(2), abs=0.01)


def test_parts_of_a_corpus_are_one_after_the_other(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(300))
    module = model(tokenizer="char")
    data = data_for(module, tmp_path / "corpus.txt", text)
    data.setup("fit")
    parts = [to_texts(data.tables[split]["text"])[0] for split in ("train", "val")]
    data.setup("test")
    assert "".join([*parts, *to_texts(data.tables["test"]["text"])]) == text
    assert module.tokenizer.trained
    batch = next(iter(data.train_dataloader()))
    assert batch["tokens"].shape[1] == module.context + 1


def test_english_comes_with_python() -> None:
    (text,) = to_texts(find_corpus("python_help", None).load("train")["text"])
    assert len(text) > 300_000
    assert " the " in text


@pytest.mark.slow
def test_a_sentence_is_learnt_and_written(tmp_path: Path) -> None:
    module = model(tokenizer="word", lr=1e-2, dropout=0.0, weight_decay=0.0)
    data = data_for(module, tmp_path / "corpus.txt", batch_size=8)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=8, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    scores = trainer.test(module, datamodule=data, verbose=False)[0]
    assert scores["test/perplexity"] < 1.3  # only what stands behind `the` is uncertain, at the beginning of a window
    assert scores["test/bigram/perplexity"] > scores["test/perplexity"]
    assert "test/bits_per_character" not in scores
    written = module.eval().sample("the cat", 4, temperature=0.1, top_k=3, seed=0)
    assert written == "the cat saw the dog ."
    assert module.sample("the", 20, 1.0, None, seed=1) == module.sample("the", 20, 1.0, None, seed=1)
    assert module.sample("", 3, 1.0, None, seed=1)
    with pytest.raises(BadInput, match="not all of its tokens"):
        module.sample("the zebra", 4, 1.0, None, seed=0)


def test_bits_per_character_do_not_depend_on_the_tokenizer(tmp_path: Path) -> None:
    """A network without knowledge needs the logarithm of the vocabulary for each token."""
    for kind in ("char", "bpe"):
        module = model(tokenizer=kind, vocab_size=300)
        torch.nn.init.zeros_(module.network.embedding.weight)
        data = data_for(module, tmp_path / "corpus.txt")
        data.setup("fit")
        trainer = Trainer(
            accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False
        )
        scores = trainer.test(module, datamodule=data, verbose=False)[0]
        rate = data.tokens_per_character["test"]
        assert scores["test/bits_per_character"] == pytest.approx(math.log2(300) * rate, rel=1e-3)
        assert (rate == 1) == (kind == "char")


def test_special_tokens_are_never_written(tmp_path: Path) -> None:
    module = model(tokenizer="char")
    data = data_for(module, tmp_path / "corpus.txt")
    data.setup("fit")
    text = module.eval().sample("t", 200, temperature=5.0, top_k=None, seed=0)
    assert len(text) > 190
    assert not any(token in text for token in SPECIAL)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b" \n", "is empty"), ("a\nü".encode("latin-1"), "corpus.txt:2: byte 0xfc is not UTF-8")],
)
def test_a_file_that_cannot_be_used_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(content)
    with pytest.raises(BadSetting, match=message):
        read_corpus(path)


def test_a_text_shorter_than_a_window_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"path: the val part has at most 60 tokens; it needs 501, or a smaller"):
        data_for(model(context=500), tmp_path / "corpus.txt", "x" * 667)


def test_a_text_with_fewer_tokens_than_a_window_is_refused(tmp_path: Path) -> None:
    data = data_for(model(context=300), tmp_path / "corpus.txt", SENTENCE * 200)
    data.setup("fit")
    with pytest.raises(BadSetting, match=r"val part has \d+ tokens; it needs 301"):
        data.val_dataloader()


def test_heads_have_to_divide_the_width() -> None:
    with pytest.raises(BadSetting, match="3 heads do not divide the width 16"):
        model(heads=3)
    with pytest.raises(BadSetting, match="name the text file"):
        CorpusData("corpus")
