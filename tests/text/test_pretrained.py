"""Networks of transformers in tasks on texts: what they give, how they begin and learn, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from lab.errors import BadSetting, LabError
from lab.text.classify_text import ClassifyText
from lab.text.data.corpus_data import CorpusData
from lab.text.data.text_data import TextData
from lab.text.language_model import LanguageModel
from lab.text.pretrained.networks import PretrainedEncoder, PretrainedGPT, PretrainedWordEncoder
from lab.text.pretrained.tokenizer import SHIFT, PretrainedTokenizer
from lab.text.tagging.tag_text import TagText
from lab.text.tagging.tagged_data import TaggedData
from lab.text.tokenizer import PAD, Tokenizer

transformers = pytest.importorskip("transformers")

TEXTS = ["the soup was not good .", "although the room was very nice , the staff was rude ."]
BERT = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
GPT2 = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 32}


def saved(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of random weights, as transformers saves one; [PAD] is not its token 0."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

    made = Backend(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    special = ["[CLS]", "[SEP]", "[UNK]", "[PAD]"]
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special))
    ends = [("[CLS]", 0), ("[SEP]", 1)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    config = transformers.BertConfig(vocab_size=100, max_position_embeddings=64, pad_token_id=3, **BERT)
    torch.manual_seed(3)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    return saved(tmp_path_factory.mktemp("bert"), transformers.BertForMaskedLM(config), tokenizer)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GPT-2 of random weights and a tokenizer of pairs of bytes."""
    learnt = Tokenizer("bpe", 300)
    learnt.train_on(TEXTS)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=learnt._ready, unk_token="[UNK]")
    torch.manual_seed(3)
    config = transformers.GPT2Config(vocab_size=300, **GPT2)
    return saved(tmp_path_factory.mktemp("gpt2"), transformers.GPT2LMHeadModel(config), tokenizer)


def test_the_tokenizer_is_that_of_the_model(bert: Path) -> None:
    ours, theirs = PretrainedTokenizer(str(bert)), transformers.AutoTokenizer.from_pretrained(bert)
    for text in TEXTS:
        (ids,) = (ours.encode([text])[i] for i in range(1))
        assert [*ours.before, *(ids - SHIFT).tolist(), *ours.after] == theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids - SHIFT)
    assert ours.token(int(ids[0])) == "although"
    assert not ours.lossless
    ours.set_extra_state(ours.get_extra_state())
    learnt = Tokenizer("word", 100)
    learnt.train_on(TEXTS)
    with pytest.raises(BadSetting, match="is not that of this pretrained network"):
        ours.set_extra_state(learnt.get_extra_state())
    with pytest.raises(BadSetting, match="is that of a pretrained network; word was asked for"):
        learnt.set_extra_state(ours.get_extra_state())


def test_vectors_are_those_of_transformers(bert: Path) -> None:
    tokenizer = PretrainedTokenizer(str(bert))
    network = PretrainedEncoder(str(bert), tokenizer, 30).eval()
    network.load_pretrained()
    theirs = transformers.AutoModel.from_pretrained(bert).eval()
    asked = transformers.AutoTokenizer.from_pretrained(bert)
    tokens, _ = tokenizer.encode(TEXTS).padded()
    for text, row in zip(TEXTS, network(tokens), strict=True):
        inputs = asked(text, return_tensors="pt")
        states = theirs(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state[0]
        torch.testing.assert_close(row, states[1:-1].mean(0), rtol=1e-4, atol=1e-5)


def test_a_word_is_the_mean_of_its_tokens(bert: Path) -> None:
    tokenizer = PretrainedTokenizer(str(bert), single_words=True)
    whole, network = (kind(str(bert), tokenizer, 30).eval() for kind in (PretrainedEncoder, PretrainedWordEncoder))
    whole.load_state_dict(network.state_dict())
    words = TEXTS[0].split()
    words[1] = "soupy"
    pieces, _ = tokenizer.encode(words).padded(length=8)
    counts = (pieces != PAD).sum(1)
    assert counts.max() > 1
    states = whole.states(pieces[pieces != PAD].unsqueeze(0))[0]
    expected = torch.stack([part.mean(0) for part in states.split(counts.tolist())])
    found = network(torch.nn.functional.pad(pieces, (0, 0, 0, 2)).unsqueeze(0))[0]
    torch.testing.assert_close(found[: len(words)], expected, rtol=1e-4, atol=1e-5)
    assert not found[len(words) :].any()


def test_logits_are_those_of_transformers(gpt2: Path) -> None:
    tokenizer = PretrainedTokenizer(str(gpt2))
    network = PretrainedGPT(str(gpt2), tokenizer, 32).eval()
    network.load_pretrained()
    theirs = transformers.AutoModelForCausalLM.from_pretrained(gpt2).eval()
    tokens = tokenizer.encode([TEXTS[0]])[0].unsqueeze(0)
    found = network(tokens)
    torch.testing.assert_close(found[..., SHIFT:], theirs(tokens - SHIFT).logits, rtol=1e-4, atol=1e-5)
    assert (found[..., :SHIFT] == -torch.inf).all()
    assert tokenizer.lossless
    assert tokenizer.decode(tokens[0]) == TEXTS[0]


def trained(module: LightningModule, data: Any) -> tuple[Mapping[str, Tensor], Mapping[str, float]]:
    """The weights that a training of one step begins with, and the scores of its test."""
    begun: dict[str, Tensor] = {}
    module.on_fit_start = lambda: begun.update({key: value.clone() for key, value in module.state_dict().items()})  # type: ignore[method-assign]
    data.connect(module)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    settings: dict[str, Any] = {"max_steps": 1, "num_sanity_val_steps": 0, "logger": False} | silent
    trainer = Trainer(accelerator="cpu", devices=1, limit_test_batches=1, **settings)
    trainer.fit(module, datamodule=data)
    return begun, trainer.test(module, datamodule=data, verbose=False)[0]


@pytest.mark.slow
def test_texts_are_classified(bert: Path, drawn: dict[str, Any]) -> None:
    data = TextData(max_texts=40, batch_size=16, truncate=True)
    module = ClassifyText(**data.facts(), network=f"transformers:{bert}", max_length=24)
    begun, scores = trained(module, data)
    stored = transformers.AutoModel.from_pretrained(bert).state_dict()
    assert all(torch.equal(value, stored[key.removeprefix("network.model.")])
               for key, value in begun.items() if key.startswith("network.model."))  # fmt: skip
    assert not torch.equal(begun["network.model.embeddings.word_embeddings.weight"],
                           module.state_dict()["network.model.embeddings.word_embeddings.weight"])  # fmt: skip
    assert 0 <= scores["test/accuracy"] <= 1
    rows = ({0: torch.export.Dim.AUTO},)
    module.eval()
    exported = torch.export.export(module.network, (torch.full((2, 24), 5),), dynamic_shapes=rows).module()
    tokens = torch.randint(4, 90, (3, 24))
    torch.testing.assert_close(exported(tokens), module.network(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_words_are_tagged(bert: Path, drawn: dict[str, Any]) -> None:
    data = TaggedData(max_texts=40, batch_size=16)
    _, scores = trained(TagText(**data.facts(), network=f"transformers:{bert}", max_length=60), data)
    assert 0 <= scores["test/f1"] <= 1
    data = TaggedData(max_texts=40)
    module = TagText(**data.facts(), network=f"transformers:{bert}", max_length=16)
    with pytest.raises(BadSetting, match=r"has \d+ tokens, and the network takes 16; set model.max_length to"):
        trained(module, data)


@pytest.mark.slow
def test_a_text_goes_on(gpt2: Path, tmp_path: Path, drawn: dict[str, Any]) -> None:
    (tmp_path / "text.txt").write_text(" ".join(TEXTS) * 30)
    module = LanguageModel(network=f"transformers:{gpt2}", context=16)
    _, scores = trained(module, CorpusData("corpus", str(tmp_path / "text.txt")))
    assert 0 < scores["test/bits_per_character"] < 20
    assert module.eval().sample("the soup", 5, 1.0, None, seed=0).startswith("the soup")
    assert module.sample("", 5, 1.0, 3, seed=0)


def test_what_cannot_be_built_is_refused(bert: Path, gpt2: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"its tokens see those after them"):
        LanguageModel(network=f"transformers:{bert}", context=16)
    with pytest.raises(BadSetting, match="it takes 32 tokens, and 64 were asked for"):
        LanguageModel(network=f"transformers:{gpt2}", context=64)
    with pytest.raises(BadSetting, match="there is no 'gpt2'; did you mean 'transformers:gpt2'"):
        LanguageModel(network="gpt2")
    with pytest.raises(BadSetting, match="there is no 'lstn'; did you mean 'lstm'"):
        ClassifyText(["a", "b"], network="lstn")
    with pytest.raises(BadSetting, match=r"is no folder, and not in the cache .* run: hf download no/such"):
        ClassifyText(["a", "b"], network="transformers:no/such")
    (tmp_path / "config.json").write_text((bert / "config.json").read_text())
    with pytest.raises(BadSetting, match=r"its tokenizer has . tokens, and the network 100; is its file missing"):
        ClassifyText(["a", "b"], network=f"transformers:{tmp_path}")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_text((bert / file).read_text())
    module = ClassifyText(["a", "b"], network=f"transformers:{tmp_path}", max_length=16)
    with pytest.raises(LabError, match="there are no pretrained weights for"):
        module.pretrain()
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(LabError, match=r"there are no pretrained weights for .* header"):
        module.pretrain()


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadSetting, match=r"pip install 'torch-lab\[transformers\]'"):
        ClassifyText(["a", "b"], network="transformers:bert-base-uncased")
