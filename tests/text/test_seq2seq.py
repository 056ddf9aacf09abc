"""From text to text: what the network sees and copies, files in the real formats, and what is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
import torch
from lightning import Trainer

from lab.errors import BadInput, BadSetting
from lab.text.data.columns import to_texts
from lab.text.data.generated.digests import digest
from lab.text.data.generated.phrases import phrase
from lab.text.seq2seq.decoder import DecoderName
from lab.text.seq2seq.network import EncoderDecoder
from lab.text.seq2seq.pair_data import PairData
from lab.text.seq2seq.pair_dataset import find_pairs
from lab.text.seq2seq.seq2seq import Seq2Seq
from lab.text.tokenizer import BEGIN, END, PAD

NETWORKS = get_args(DecoderName)
SOURCE, TARGET = torch.tensor([[2, 9, 8, 7, 3], [2, 5, 3, 0, 0]]), torch.tensor([[2, 7, 6], [2, 5, 4]])


def network(name: DecoderName = "gru", copy: bool = False) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(name, vocab_size=20, max_length=8, hidden=16, depth=1, copy=copy).eval()


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities_sum_to_one_and_padding_changes_nothing(name: DecoderName, copy: bool) -> None:
    made = network(name, copy)
    found = made(SOURCE, TARGET)
    torch.testing.assert_close(found.exp().sum(2), torch.ones(2, 3), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1:], made(SOURCE[1:, :3], TARGET[1:]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_token_sees_the_whole_source_and_none_that_come_after_it(name: DecoderName) -> None:
    made = network(name)
    found = made(SOURCE, TARGET)
    later, other = TARGET.clone(), SOURCE.clone()
    later[:, 2] += 1
    other[0, 3] += 1
    torch.testing.assert_close(made(SOURCE, later)[:, :2], found[:, :2])
    assert not torch.allclose(made(other, TARGET)[0, 0], found[0, 0])


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_token_by_token_is_the_same_as_all_at_once(name: DecoderName, copy: bool) -> None:
    made, state = network(name, copy), None
    memory = made.encode(SOURCE)
    found = []
    for place in range(TARGET.shape[1]):
        scores, weights, state = made.decoder.step(TARGET[:, place : place + 1], memory, state)
        found.append((scores, weights))
    for each, whole in zip(zip(*found, strict=True), made.decoder(TARGET, memory), strict=True):
        torch.testing.assert_close(torch.cat(each, 1), whole, rtol=1e-4, atol=1e-4)


def test_what_is_copied_is_where_the_attention_looks() -> None:
    made = network(copy=True)
    assert made.decoder.chooses is not None
    torch.nn.init.constant_(made.decoder.chooses.bias, -50.0)  # never from the vocabulary
    scores, weights = made.decoder(TARGET, made.encode(SOURCE))
    for token in (9, 8, 7):
        place = int((SOURCE[0] == token).nonzero())
        torch.testing.assert_close(scores[0, :, token].exp(), weights[0, :, place], rtol=1e-3, atol=1e-5)
    assert float(scores[0, :, 15].exp().max()) < 1e-6  # not in the source


def test_translations_follow_the_rules_of_the_language() -> None:
    random = Random(0)
    for _ in range(200):
        english, translated = phrase(random)
        words, others = english.split(), translated.split()
        assert others[-1] == "."
        assert others[-2] in ("hodi", "ier", "kras")
        assert others[-3].endswith({"today": "at", "yesterday": "it", "tomorrow": "ot"}[words[0]])
        assert (others[-4] == "ne") == ("not" in words)
        assert any(word.endswith(("on", "an", "in")) for word in others)


def test_a_summary_is_what_the_person_of_the_heading_did() -> None:
    random = Random(0)
    for _ in range(50):
        text, summary = digest(random)
        name = text.removeprefix("news of ").split(" : ")[0]
        verb, _, thing = summary.removeprefix(name).split()[:3]
        (told,) = [sentence for sentence in text.split(" : ")[1].split(" . ") if name in sentence]
        assert f"{name} {verb} the " in told
        assert f" {thing}" in told


def test_parallel_files_are_read_as_those_of_multi30k(tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("A man\u2028sleeps.\nTwo dogs run.\n", encoding="utf-8")
    (tmp_path / "train.de").write_text("Ein Mann schläft.\nZwei Hunde rennen.\n")
    (tmp_path / "test2016.en").write_text("A dog.\n")
    (tmp_path / "test2016.de").write_text("Ein Hund.\n")
    dataset = find_pairs("parallel", str(tmp_path), None, None)
    assert to_texts(dataset.load("train")["target"]) == ["Ein Mann schläft.", "Zwei Hunde rennen."]
    assert to_texts(dataset.load("train")["source"])[0] == "A man\u2028sleeps.", "a separator within a line ends none"
    assert to_texts(dataset.load("test")["source"]) == ["A dog."]
    assert to_texts(find_pairs("parallel", str(tmp_path), "de", "en").load("test")["source"]) == ["Ein Hund."]


def test_pairs_of_a_csv_file_are_divided(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("id,source,target\n" + "".join(f"{i},question {i},answer {i}\n" for i in range(20)))
    dataset = find_pairs("pairs", str(path), None, None)
    rows = [text for split in ("train", "test") for text in to_texts(dataset.load(split)["target"])]  # type: ignore[arg-type]
    assert sorted(rows) == sorted(f"answer {i}" for i in range(20))
    assert len(dataset.load("test")) == 4


BAD_FOLDERS: dict[str, tuple[dict[str, bytes], str]] = {
    "nothing": ({}, "has no file train.en"),
    "one side": ({"train.en": b"a\n"}, "has no file train.de"),
    "other numbers of lines": (
        {"train.en": b"a\nb\n", "train.de": b"a\n"},
        "train.en has 2 lines and .*de has 1",
    ),
    "an empty line": ({"train.en": b"a\nb\n", "train.de": b"a\n\n"}, "train.de:2: the line is empty"),
    "no test": ({"train.en": b"a\n", "train.de": b"b\n"}, "has no file test.en"),
    "a test of other numbers of lines": (
        {"train.en": b"a\n", "train.de": b"b\n", "test.en": b"a\nb\n", "test.de": b"a\n"},
        "test.en has 2 lines and .*test.de has 1",
    ),
    "empty": ({"train.en": b"", "train.de": b""}, "train.en is empty"),
    "another encoding": ({"train.en": b"a\n", "train.de": b"\xfc\n"}, "train.de:1: byte 0xfc is not UTF-8"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_files_that_cannot_be_used_are_refused_with_their_line(case: str, tmp_path: Path) -> None:
    files, message = BAD_FOLDERS[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadSetting, match=message):
        PairData("parallel", str(tmp_path))


def test_bad_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    for settings, message in (
        ({"name": "pairs"}, "name the CSV file"),
        ({"name": "parallel"}, "name the folder"),
        ({"name": "parallel", "path": str(tmp_path / "nowhere")}, "there is no folder .*nowhere"),
        ({"source": "en"}, "no languages to choose from"),
        ({"path": str(tmp_path)}, "fixed location"),
    ):
        with pytest.raises(BadSetting, match=message):
            PairData(**settings)  # type: ignore[arg-type]
    for content, message in (
        ("a,b\nx,y\n", "no column 'source'"),
        ("source,target\nx,\n", "2: column target is em"),
        ("source,target\nx,y\n", "has 1 pairs; 3 are needed"),
    ):
        path.write_text(content)
        with pytest.raises(BadSetting, match=message):
            PairData("pairs", str(path))
    with pytest.raises(BadSetting, match="expected a multiple of 4"):
        Seq2Seq(hidden=6)


@pytest.fixture(scope="module")
def trained() -> Seq2Seq:
    """A network that turns two words round."""
    torch.manual_seed(0)
    module = Seq2Seq(network="gru", hidden=32, depth=1, max_length=8, vocab_size=32)
    module.tokenizer.train_on(["a b c d e"])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(150):
        words = torch.randint(4, 9, (32, 2))
        ends = [torch.full((32, 1), token) for token in (BEGIN, END)]
        batch = {
            "source": torch.cat([ends[0], words, ends[1]], 1),
            "target": torch.cat([ends[0], words.flip(1), ends[1]], 1),
        }
        loss = module.training_loss(batch, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.eval()


@pytest.mark.slow
def test_what_was_learnt_is_written(trained: Seq2Seq) -> None:
    assert trained.generate(["a b", "d c", "e a"]) == ["b a", "c d", "a e"]
    assert trained.generate([]) == []
    with pytest.raises(BadInput, match="text 1 has a token that is not in the vocabulary"):
        trained.generate(["a b", "a z"])
    with pytest.raises(BadInput, match="text 0 has 7 tokens, and the network takes 6"):
        trained.generate(["a b c d e a b"])


def test_texts_longer_than_the_network_takes_are_refused() -> None:
    data, module = PairData(max_texts=50), Seq2Seq(max_length=6, hidden=16)
    data.connect(module)
    data.setup("fit")
    with pytest.raises(BadSetting, match=r"the network takes 6; set model.max_length to \d+"):
        data.train_dataloader()


@pytest.mark.slow
def test_the_evaluation_compares_whole_texts(drawn: dict[str, Any]) -> None:
    torch.manual_seed(0)
    data, module = PairData(max_texts=200), Seq2Seq(hidden=16, depth=1, max_length=32)
    data.connect(module)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    scores = trainer.test(module, datamodule=data, verbose=False)[0]
    assert scores["test/exact_match"] < 0.1
    assert 0 <= scores["test/bleu"] < scores["test/nearest/bleu"] < 0.5
    assert drawn.keys() == {"attention.png", "most_wrong.png"}


def test_tokens_are_drawn_as_they_are_read() -> None:
    module = Seq2Seq(hidden=16, depth=1, max_length=32, tokenizer="bpe", vocab_size=264)
    module.tokenizer.train_on(["a dog"])
    ids = torch.cat([torch.tensor([BEGIN]), module.tokenizer.encode(["a dog"])[0], torch.tensor([END, PAD])])
    assert "".join(module._tokens(ids)) == "[BOS]adog[EOS]"
