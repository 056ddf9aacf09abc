"""The task `classify`: heads, metrics, schedules and plots, and what it refuses."""

import math
from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from sklearn import metrics as sk
from torch.nn import functional as F

import lab
from lab.errors import BadInput, BadSetting, RecipeError
from lab.learning.plots import confusion
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.classify import Classify, relaxed, scores, single
from lab.vision.data.image_data import ImageData
from lab.vision.plots import classify as draw

FACTS = {"channels": 1, "size": 8, "class_names": [*"abcdefg"], "mean": [0.3], "std": [0.4]}


def digits(**settings):
    torch.manual_seed(0)
    data = ImageData("digits", batch_size=256)
    wanted = ("channels", "size", "class_names", "mean", "std")
    return Classify(**{name: data.facts()[name] for name in wanted}, **settings), data


def quiet(**settings):
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(accelerator="cpu", devices=1, logger=False, num_sanity_val_steps=0, **silent, **settings)


# ---- heads -----------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_torch():
    logits = torch.randn(5, 4)
    for temperature in (0.3, 1.0, 3.0):
        torch.manual_seed(3)
        ours = relaxed(logits, temperature).softmax(1)
        torch.manual_seed(3)
        torch.testing.assert_close(ours, F.gumbel_softmax(logits, temperature))


def test_the_largest_of_a_sample_is_as_likely_as_softmax_says():
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5])
    drawn = relaxed(logits.expand(100_000, 4), 0.5).argmax(1).bincount(minlength=4) / 100_000
    torch.testing.assert_close(drawn, logits.softmax(0), atol=0.006, rtol=0)  # four standard errors


def test_a_single_label_has_the_gradient_of_the_relaxed_one():
    torch.manual_seed(0)
    logits, weights = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    sample = relaxed(logits, 0.7)
    hard, soft = single(sample), sample.softmax(1)
    assert set(hard.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert torch.equal(hard.argmax(1), soft.argmax(1))
    (through,) = torch.autograd.grad((hard * weights).sum(), logits, retain_graph=True)
    (expected,) = torch.autograd.grad((soft * weights).sum(), logits)
    torch.testing.assert_close(through, expected)


def test_losses_are_the_ones_that_the_page_gives():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 7), torch.arange(9) % 7
    plain = Classify(**FACTS, label_smoothing=0.1)
    smooth = F.one_hot(labels, 7) * 0.9 + 0.1 / 7
    torch.testing.assert_close(plain.loss(logits, labels, 1.0), -(smooth * logits.log_softmax(1)).sum(1).mean())
    for through in (False, True):
        module = Classify(**FACTS, head="gumbel", straight_through=through)
        torch.manual_seed(1)
        found = module.loss(logits, labels, 0.5)
        torch.manual_seed(1)
        y = F.gumbel_softmax(logits, 0.5, hard=through)
        expected = 2.0 * (y.argmax(1) != labels).float().mean() if through else -y[range(9), labels].log().mean()
        torch.testing.assert_close(found, expected)


def test_no_noise_when_it_counts():
    module, data = digits(head="gumbel", network="mlp")
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    module.eval()
    with torch.inference_mode():
        first, second = module.evaluate_batch(batch), module.evaluate_batch(batch)
        assert torch.equal(first["probabilities"], second["probabilities"])
        torch.testing.assert_close(first["probabilities"], module(batch["image"]).softmax(1))


# ---- training --------------------------------------------------------------------------------------------------------


class Followed(Classify):
    """Remembers rates and temperatures."""

    def on_fit_start(self):
        self.seen = []

    def loss(self, logits, labels, temperature):
        self.seen.append((self.trainer.optimizers[0].param_groups[0]["lr"], temperature))
        return super().loss(logits, labels, temperature)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_rate_and_temperature_fall_over_the_run(schedule):
    data = ImageData("digits", batch_size=256)
    facts = {name: data.facts()[name] for name in FACTS}
    module = Followed(
        **facts,
        network="mlp",
        head="gumbel",
        temperature=2.0,
        final_temperature=0.5,
        lr=0.1,
        final_lr=0.2,
        schedule=schedule,
    )
    quiet(max_epochs=2, limit_val_batches=0).fit(module, data)
    done = [i / 10 for i in range(10)]
    left = [1 - d if schedule == "linear" else (1 + math.cos(math.pi * d)) / 2 for d in done]
    assert [rate for rate, _ in module.seen] == pytest.approx([0.1 * (0.2 + 0.8 * part) for part in left])
    assert [temperature for _, temperature in module.seen] == pytest.approx([2 * 0.25**d for d in done])


def test_images_are_normalised_before_the_network():
    module = Classify(**FACTS | {"channels": 3, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 2.0]}, network="mlp")
    module.network = torch.nn.Identity()
    images = torch.rand(4, 3, 8, 8)
    expected = (images - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.25, 2.0]).view(3, 1, 1)
    torch.testing.assert_close(module(images), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "head", [{"head": "softmax"}, {"head": "gumbel"}, {"head": "gumbel", "straight_through": True}]
)
def test_every_head_learns_the_digits(head):
    module, data = digits(network="mlp", lr=3e-3, **head)
    trainer = quiet(max_epochs=25, limit_val_batches=0)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    assert found["test/accuracy"] > 0.94, "0.96 to 0.98 where it was measured"


@pytest.mark.long
def test_the_recipe_reaches_its_score(tracked):
    result = lab.run("classify_digits", f"track.uri=sqlite:///{tracked}/mlflow.db", "track.system_metrics=false")
    assert result.score >= 0.975, "0.98 and more where it was measured"
    assert result.metrics["test/calibration_error"] < 0.05


# ---- metrics and plots -------------------------------------------------------------------------------------------


def test_metrics_are_those_of_scikit_learn():
    torch.manual_seed(0)
    labels = torch.randint(7, (500,))
    probabilities = (torch.randn(500, 7) + 2 * F.one_hot(labels, 7)).softmax(1)
    measured = scores(7)
    for part in (slice(0, 200), slice(200, 500)):
        measured.update(probabilities[part], labels[part])
    found, said = measured.compute(), probabilities.argmax(1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(labels, said, average="macro")
    confidence, right = probabilities.amax(1), (said == labels).float()
    bins = (confidence * 15).long()
    gaps = [(confidence[bins == i] - right[bins == i]).sum().abs() / 500 for i in range(15)]
    expected = {
        "accuracy": sk.accuracy_score(labels, said), "precision": precision, "recall": recall, "f1": f1,
        "top5_accuracy": sk.top_k_accuracy_score(labels, probabilities, k=5), "calibration_error": float(sum(gaps)),
    }  # fmt: skip
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, abs=1e-6)
    assert "top5_accuracy" not in scores(5)


def test_metrics_that_agree_on_a_first_batch_stay_apart():
    metrics = scores(7)
    metrics.update(torch.eye(7), torch.arange(7))  # every image is right
    metrics.update(torch.eye(7), (torch.arange(7) + 1) % 7)  # none is
    found = metrics.compute()
    assert found["accuracy"] == 0.5
    assert found["top5_accuracy"] > 0.5


def test_the_test_counts_every_image_once_and_keeps_the_worst(monkeypatch):
    module, data = digits(network="mlp")
    drawn = {}
    monkeypatch.setattr("lab.vision.classify.confusion", lambda matrix, _: drawn.update(matrix=matrix))
    monkeypatch.setattr(draw, "most_wrong", lambda worst, _: drawn.update(worst))
    monkeypatch.setattr("lab.plots.log_figure", lambda *_: None)
    (found,) = quiet().test(module, data, verbose=False)
    images, labels = data.tables["test"]["image"].float() / 255, data.tables["test"]["label"]
    with torch.inference_mode():
        logits = module.eval()(images)
    losses = F.cross_entropy(logits, labels, reduction="none")
    assert found["test/loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    assert drawn["matrix"].tolist() == sk.confusion_matrix(labels, logits.argmax(1)).tolist()
    torch.testing.assert_close(drawn["loss"], losses.topk(24).values)
    torch.testing.assert_close(drawn["image"], images[losses.topk(24).indices])


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 26), (3, 100)])
def test_plots_can_be_drawn(channels, classes, tmp_path):
    torch.manual_seed(0)
    names = [f"class {i}" for i in range(classes)]
    labels = torch.randint(classes, (10,))
    worst = {"image": torch.rand(10, channels, 8, 8), "label": labels, "probabilities": torch.rand(10, classes)}
    page = draw.most_wrong(worst, names)
    titles = [axes.get_title() for axes in page.axes]
    rivals = worst["probabilities"].scatter(1, labels.unsqueeze(1), -1).argmax(1)
    assert titles[0].startswith(f"true {names[labels[0]]} ")
    assert f" {names[rivals[0]]} " in titles[0].split("\n")[1]
    assert titles[10:] == [""] * 6, "no more rows than there are images"
    matrix = torch.eye(classes, dtype=torch.long) * 3
    matrix[0, 1] = 1
    drawing = confusion(matrix, names)
    assert drawing.axes[0].get_title(loc="left").startswith(f"{300 * classes / (3 * classes + 1):.1f} %")
    labels = drawing.axes[0].get_xlabel(), drawing.axes[0].get_ylabel()
    assert all(label.startswith(word) for label, word in zip(labels, ("predicted class", "true class"), strict=True))
    drawing.savefig(tmp_path / "confusion.png")


# ---- bad input -------------------------------------------------------------------------------------------------------


def test_images_of_another_shape_are_one_line():
    with pytest.raises(BadInput, match=r"^this network takes images of 1 x 8 x 8, found 3 x 8 x 8$"):
        Classify(**FACTS)(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.network=cn"], "model.network: no network 'cn'; did you mean 'cnn'?"),
        (["model.network=lenet"], "model.network: lenet needs images of 12 x 12, found 8 x 8; use mlp, cnn"),
        (["model.frozen=true"], "model.frozen: cnn has no pretrained backbone"),
        (["model.pretrained=true"], "model.pretrained: there are no pretrained weights for cnn"),
        (["model.straight_through=true"], "model.straight_through: needs head: gumbel"),
        (["model.head=gumble"], "model.head: expected 'softmax' or 'gumbel', found 'gumble'"),
        (["data.name=faces"], "data: this dataset has no labels"),
    ],
)
def test_a_bad_recipe_is_one_line(overrides, message):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("classify_digits"), overrides))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)


def test_a_run_of_unknown_length_is_refused():
    module = Classify(**FACTS)
    module._trainer = SimpleNamespace(estimated_stepping_batches=math.inf)
    with pytest.raises(BadSetting, match="max_epochs or max_steps"):
        module.on_train_start()
