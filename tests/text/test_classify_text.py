"""The task `classify_text`: what it learns, what stands beside it, and what its networks see."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from lightning import Trainer

from lab.errors import BadInput
from lab.text.baselines import baseline_accuracies
from lab.text.classify_text import ClassifyText
from lab.text.data.text_data import TextData
from lab.text.network import TextNetwork, TextNetworkName, backwards
from tests.parameters import long_but

NETWORKS = get_args(TextNetworkName)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_nothing(name: TextNetworkName, bidirectional: bool) -> None:
    network = TextNetwork(name, vocab_size=50, max_length=9, bidirectional=bidirectional).eval()
    tokens = torch.randint(1, 50, (3, 6))
    tokens[1, 4:] = 0
    alone = torch.cat([network(row[row > 0].unsqueeze(0)) for row in tokens])
    padded = network(torch.nn.functional.pad(tokens, (0, 3)))
    assert padded.shape == (3, network.out_features)
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", long_but(("bag", "transformer"), NETWORKS))
def test_an_exported_network_takes_batches_of_any_size(name: TextNetworkName) -> None:
    network = TextNetwork(name, vocab_size=50, max_length=6).eval()
    example, tokens = torch.ones(2, 6, dtype=torch.int64), torch.randint(1, 50, (5, 6))
    rows = ({0: torch.export.Dim.AUTO},)
    exported = torch.export.export(network, (example,), dynamic_shapes=rows).module()
    torch.testing.assert_close(exported(tokens), network(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_a_bag_is_blind_to_the_order(name: TextNetworkName) -> None:
    network = TextNetwork(name, vocab_size=50, max_length=6).eval()
    first = network(torch.tensor([[5, 6, 7, 8]]))
    other = network(torch.tensor([[8, 6, 5, 7]]))
    assert torch.allclose(first, other, atol=1e-6) == (name == "bag")


def test_a_sequence_is_turned_within_its_length() -> None:
    x = torch.arange(12.0).view(2, 3, 2)
    turned = backwards(x, torch.tensor([3, 1]))
    assert torch.equal(turned[0], x[0].flip(0))
    assert torch.equal(turned[1], x[1])


def test_the_baselines_see_words_and_pairs_of_words() -> None:
    words, pairs, labels = ["good soup", "bad soup"] * 2, ["good", "not bad", "bad", "not good"], [1, 1, 0, 0]
    assert baseline_accuracies(words * 9, [1, 0] * 18, words[:2], [1, 0]) == {"naive_bayes": 1.0, "linear_svm": 1.0}
    assert baseline_accuracies(pairs * 9, labels * 9, pairs, labels)["linear_svm"] == 1.0


@pytest.mark.long
def test_order_is_learnt_where_counting_words_is_chance() -> None:
    scores: dict[str, Any] = {}
    for network in ("lstm", "bag"):
        torch.manual_seed(0)
        data = TextData(max_texts=3_000)
        module = ClassifyText(**data.facts(), network=network, max_length=32, hidden=32, embed_dim=32, lr=1e-2)
        data.connect(module)
        trainer = Trainer(
            accelerator="cpu", devices=1, max_epochs=6, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
        scores[network] = trainer.test(module, datamodule=data, verbose=False)[0]
    assert scores["lstm"]["test/accuracy"] > 0.95
    assert scores["bag"]["test/accuracy"] < 0.6
    assert scores["lstm"]["test/linear_svm/accuracy"] < 0.65
    assert scores["lstm"]["test/naive_bayes/accuracy"] < 0.65


def test_a_checkpoint_of_other_classes_is_refused() -> None:
    learnt = ClassifyText(["no", "yes"], hidden=8, embed_dim=8)
    saved = {"hyper_parameters": dict(learnt.hparams)}
    learnt.on_load_checkpoint(saved)
    with pytest.raises(BadInput, match="the data has maybe, yes, and the checkpoint learnt no, yes"):
        ClassifyText(["maybe", "yes"], hidden=8, embed_dim=8).on_load_checkpoint(saved)
    with pytest.raises(BadInput, match="the difference begins with 'no'"):
        ClassifyText(["yes"], hidden=8, embed_dim=8).on_load_checkpoint(saved)
