"""The tasks on sequences: all four shapes learn, metrics are those of scikit-learn, the gradient over time is drawn."""

import pytest
import torch
from sklearn import metrics as sk

from lab.errors import BadSetting
from lab.series.classify_sequence import ClassifySequence
from lab.series.regress_sequence import RegressSequence
from lab.series.sequence_data import SequenceData
from lab.series.sequence_module import gradient_ratio, input_gradient


def made(task, name, data=None, **settings):
    torch.manual_seed(0)
    data = SequenceData(name, **(data or {}))
    facts = data.facts()
    wanted = ("mean", "std") if task is RegressSequence else ()
    common = ("features", "length", "per_step", "class_names", *wanted)
    return task(**{key: facts[key] for key in common}, **settings), data


@pytest.mark.slow
def test_many_to_one_a_digit_is_recognised_by_its_rows(fitted):
    module, data = made(ClassifySequence, "digit_rows", network="gru", hidden=32, lr=1e-2)
    found, drawn = fitted(module, data, max_epochs=12)
    assert found["test/accuracy"] > 0.93
    assert found["test/majority/accuracy"] == pytest.approx(0.1, abs=0.03)
    x, y = data.tables["test"]["x"], data.tables["test"]["label"]
    with torch.inference_mode():
        said = module.eval()(x).argmax(1)
    assert found["test/accuracy"] == pytest.approx(sk.accuracy_score(y, said))
    assert found["test/f1"] == pytest.approx(sk.f1_score(y, said, average="macro"), rel=1e-4)
    assert drawn.keys() == {"classes.png", "gradient.png"}


@pytest.mark.long
def test_many_to_many_copied_symbols_are_scored_where_they_are_asked_for(fitted):
    settings = {"length": 2, "max_sequences": 1_500}
    module, data = made(ClassifySequence, "copying", settings, network="transformer", hidden=32, lr=5e-3, depth=2)
    found, drawn = fitted(module, data, max_epochs=8)
    y = data.tables["test"]["labels"]
    with torch.inference_mode():
        said = module.eval()(data.collate(data.tables["test"])["x"]).argmax(2)
    right = (said == y)[:, -10:]
    assert found["test/accuracy"] == pytest.approx(float(right.float().mean()), abs=1e-5)
    assert found["test/sequence_accuracy"] == pytest.approx(float(right.all(1).float().mean()), abs=1e-5)
    assert found["test/accuracy"] > 0.4, "chance is 0.125"
    assert drawn.keys() == {"classes.png", "gradient.png", "steps.png"}


@pytest.mark.long
def test_one_to_many_an_oscillation_is_drawn_from_its_first_step(fitted):
    settings = {"length": 20, "max_sequences": 2_000}
    module, data = made(RegressSequence, "oscillation", settings, network="gru", hidden=32, lr=1e-2)
    found, drawn = fitted(module, data, max_epochs=8)
    y = data.tables["test"]["targets"]
    with torch.inference_mode():
        said = module.eval()(data.tables["test"]["x"])
    assert found["test/mse"] == pytest.approx(float((said - y).square().mean()), rel=1e-4)
    assert found["test/mean/mse"] == pytest.approx(float(y.square().mean()), rel=1e-4)
    assert found["test/r2"] == pytest.approx(sk.r2_score(y.flatten(), said.flatten()), rel=1e-3)
    assert found["test/r2"] > 0.8
    assert drawn.keys() == {"predictions.png", "gradient.png"}


def test_labels_that_are_not_scored_change_no_loss():
    module, _ = made(ClassifySequence, "copying", {"length": 2})
    outputs, y = torch.randn(3, 22, 8), torch.randint(8, (3, 22))
    y[:, :12] = -1
    expected = torch.nn.functional.cross_entropy(outputs[:, 12:].mT, y[:, 12:], reduction="none").mean(1)
    torch.testing.assert_close(module.losses(outputs, y), expected)
    assert not module.losses(outputs, torch.full_like(y, -1)).any(), "and none at all is no NaN"


def test_a_loss_is_in_units_of_the_targets():
    module, _ = made(RegressSequence, "adding", {"length": 10})
    losses = module.losses(torch.tensor([1.0, 1 + module.std]), torch.ones(2))
    torch.testing.assert_close(losses, torch.tensor([0.0, 1.0]))


def test_the_gradient_over_time_is_that_of_the_equations():
    weights = torch.tensor([0.0, 1.0, 2.0])
    x, y = torch.randn(4, 3, 1), torch.randn(4)
    with torch.inference_mode():
        found = input_gradient(lambda x, y: (x.squeeze(2) * weights).sum(1) * y, x.clone(), y.clone())
    torch.testing.assert_close(found, weights * y.abs().mean())
    assert gradient_ratio(torch.tensor([1.0] + 18 * [9.0] + [4.0])) == pytest.approx(5 / 6.5)
    assert gradient_ratio(torch.zeros(5)) == 0


@pytest.mark.parametrize(("network", "vanishes"), [("rnn", True), ("transformer", False)])
def test_the_gradient_of_a_plain_network_vanishes(network, vanishes):
    module, data = made(RegressSequence, "adding", {"length": 100}, network=network)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    ratio = gradient_ratio(input_gradient(lambda x, y: module.losses(module(x), y), batch["x"], batch["y"]))
    assert (ratio < 1e-6) == vanishes


def test_classes_and_numbers_are_not_mixed_up():
    with pytest.raises(BadSetting, match="use the task regress_sequence"):
        made(ClassifySequence, "adding")
    with pytest.raises(BadSetting, match="use the task classify_sequence"):
        made(RegressSequence, "dyck")


def test_more_sequences_than_there_are_is_one_line():
    with pytest.raises(BadSetting, match=r"^max_sequences: digit_rows has 1438 sequences to learn from, found 5000$"):
        SequenceData("digit_rows", max_sequences=5000)
