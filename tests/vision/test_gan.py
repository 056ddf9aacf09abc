"""The task `gan`: players, games, measures against closed forms, pictures, and what it refuses."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import Trainer
from scipy.linalg import sqrtm
from torch import nn
from torch.nn import functional as F

from lab.errors import BadInput, BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.image_data import ImageData
from lab.vision.gan import evaluation as shown
from lab.vision.gan import generative, losses, networks
from lab.vision.gan import plots as pictures
from lab.vision.gan import reference_classifier as reference
from lab.vision.gan.evaluation import Evaluation
from lab.vision.gan.gan import GAN
from lab.vision.gan.metrics import ByClass, Divergence, Diversity

FACTS = {"channels": 1, "size": 8, "class_names": [*"abcdefghij"], "mean": [0.3], "std": [0.4]}
CPU = torch.device("cpu")


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def untrained(monkeypatch):
    """A classifier that never learnt to read, at once."""

    def found(data):
        torch.manual_seed(5)
        facts = data.facts()
        return reference.ReferenceClassifier(
            *(facts[name] for name in ("channels", "size", "class_names", "mean", "std"))
        ).eval()

    monkeypatch.setattr(generative, "reference_classifier", found)


def quiet(**settings):
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(accelerator="cpu", devices=1, logger=False, num_sanity_val_steps=0, **silent, **settings)


# ---- players ---------------------------------------------------------------------------------------------------------


def layers(network):
    """What the table of the four systems says about each layer."""
    found = []
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
            kind = "up" if isinstance(layer, nn.ConvTranspose2d) else "conv"
            found.append((kind, layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0]))
        elif isinstance(layer, nn.Linear):
            found.append(("dense", layer.in_features, layer.out_features))
        elif isinstance(layer, nn.Dropout):
            found.append(("dropout", layer.p))
    return found


def test_plain_players_are_those_of_the_source():
    maker = networks.generator("plain", 100, 1, 28, 1.0)
    assert layers(maker) == [
        ("dense", 100, 7 * 7 * 256), ("up", 256, 128, 5, 1), ("up", 128, 64, 5, 2), ("up", 64, 1, 5, 2)
    ]  # fmt: skip
    assert isinstance(maker[-1], nn.Tanh)
    assert layers(networks.Discriminator("plain", 1, 28, 0, 1.0, False)) == [
        ("conv", 1, 64, 5, 2), ("dropout", 0.3), ("conv", 64, 128, 5, 2), ("dropout", 0.3), ("dense", 7 * 7 * 128, 1)
    ]  # fmt: skip


def test_residual_players_are_those_of_the_source():
    assert layers(networks.generator("residual", 126, 1, 28, 1.0)) == [
        ("dense", 126, 7 * 7 * 256),
        ("up", 256, 128, 3, 2), ("up", 128, 128, 3, 1), ("conv", 256, 128, 1, 1),
        ("up", 128, 64, 3, 2), ("up", 64, 64, 3, 1), ("conv", 128, 64, 1, 1),
        ("conv", 64, 32, 3, 1), ("conv", 32, 1, 5, 1),
    ]  # fmt: skip
    player = networks.Discriminator("residual", 1, 28, 26, 1.0, False)
    assert player.planes.weight.shape == (26, 28 * 28)
    assert layers(player) == [
        ("conv", 2, 64, 3, 2), ("conv", 64, 64, 3, 1), ("dropout", 0.3),
        ("conv", 64, 128, 3, 2), ("conv", 128, 128, 3, 1), ("dropout", 0.3),
        ("conv", 128, 256, 3, 2), ("conv", 256, 256, 3, 1), ("dropout", 0.3),
        ("dense", 256, 512), ("dropout", 0.5), ("dense", 512, 256), ("dropout", 0.5), ("dense", 256, 1),
    ]  # fmt: skip


def test_dense_players_are_linear_layers_alone():
    maker, player = networks.generator("dense", 100, 1, 28, 1.0), networks.Discriminator("dense", 1, 28, 0, 1.0, False)
    assert layers(maker) == [("dense", 100, 256), ("dense", 256, 512), ("dense", 512, 1024), ("dense", 1024, 784)]
    assert layers(player) == [("dense", 784, 512), ("dense", 512, 256), ("dense", 256, 1)]
    assert isinstance(maker[-1], nn.Tanh)
    assert [layer.negative_slope for layer in maker if isinstance(layer, nn.LeakyReLU)] == [0.2] * 3


@pytest.mark.parametrize("architecture", ["plain", "residual", "dense"])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32)])
def test_players_fit_images_of_other_sizes(architecture, channels, size):
    images = networks.generator(architecture, 12, channels, size, 0.05)(torch.randn(3, 12))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    player = networks.Discriminator(architecture, channels, size, 4, 0.05, False)
    assert player(images, torch.tensor([0, 1, 3])).shape == (3,)


def test_a_label_changes_what_is_drawn_and_what_is_believed():
    torch.manual_seed(0)
    module = GAN(**FACTS, kind="conditional", width=0.1)
    codes = module.codes(torch.tensor([2, 7]))
    codes[:, :100] = codes[0, :100]
    images = module.generator(codes)  # normalised by the batch
    module.eval()
    assert codes[:, 100:].tolist() == F.one_hot(torch.tensor([2, 7]), 10).tolist()
    assert (images[0] - images[1]).abs().max() > 0.01
    same = images[:1].expand(2, -1, -1, -1)
    believed = module.discriminator(same, torch.tensor([2, 7]))
    assert believed[0] != believed[1]


@pytest.mark.slow
def test_spectral_normalisation_keeps_the_largest_singular_value_at_one():
    torch.manual_seed(0)
    player = networks.Discriminator("residual", 1, 8, 0, 0.1, True)
    for _ in range(30):  # each pass is one step of its power iteration
        player(torch.randn(2, 1, 8, 8), torch.zeros(2, dtype=torch.long))
    weights = [layer.weight for layer in player.body if isinstance(layer, nn.Conv2d | nn.Linear)]
    largest = torch.stack([torch.linalg.matrix_norm(weight.flatten(1), 2) for weight in weights])
    torch.testing.assert_close(largest, torch.ones(9), atol=0.05, rtol=0)


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    maps = torch.ones(64, 16, 14, 14).to(memory_format=torch.channels_last).requires_grad_()
    layer = networks.Dropout(0.3)
    found = layer(maps)
    assert found.unique().tolist() == pytest.approx([0, 256 / 179])
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(found.mean()) == pytest.approx(1, abs=0.005)
    assert found.stride() == maps.stride()
    (gradient,) = torch.autograd.grad(found.sum(), maps)
    assert torch.equal(gradient, found)
    assert not torch.equal(layer(maps), found)
    assert layer.eval()(maps) is maps


# ---- games -----------------------------------------------------------------------------------------------------------


class Written(GAN):
    """Plays one batch, and the same batch as the papers write it down, by backward and Adam."""

    def on_train_start(self):
        self.twin = copy.deepcopy(
            {name: getattr(self, name) for name in (*self.players, "averaged")}
        )  # not registered: a dictionary

    def training_step(self, batch):
        before = torch.get_rng_state()
        super().training_step(batch)
        after = torch.get_rng_state()
        torch.set_rng_state(before)
        self.by_the_book(batch["image"] * 2 - 1, batch["label"])
        assert torch.equal(torch.get_rng_state(), after)

    def by_the_book(self, real, labels):
        d, g, averaged = (self.twin[name] for name in ("discriminator", "generator", "averaged"))
        rates = self.hparams
        steps = {
            "d": torch.optim.Adam(d.parameters(), rates["lr_discriminator"], betas=(0.5, 0.999)),
            "g": torch.optim.Adam(g.parameters(), rates["lr_generator"], betas=(0.5, 0.999)),
        }
        n, triple = len(real), self.kind == "triple"
        drawn = g(self.codes(labels))
        pairs = [(real, labels), (drawn.detach(), labels)]
        if triple:
            c = self.twin["classifier"]
            logits = c(torch.cat([(real + 1) / 2, (drawn.detach() + 1) / 2]))
            guess = logits[:n].argmax(1)
            pairs.append((real, guess))
        if self.mismatch_weight:
            pairs.append((real, (labels + torch.randint_like(labels, 1, self.num_conditions)) % self.num_conditions))
        # dropout is drawn for all images together, so they are shown together here as well
        images, claims = (torch.cat(column) for column in zip(*pairs, strict=True))
        belief = d(images, claims).sigmoid().chunk(len(pairs))
        s, a, m = self.label_smoothing, (self.alpha if triple else 0.0), self.mismatch_weight
        value = ((1 - s) * belief[0].log() + s * (1 - belief[0]).log()).mean()
        value = value + (1 - a) * (1 - belief[1]).log().mean()
        if triple:
            value = value + a * (1 - belief[2]).log().mean()
        if m:
            value = value + m * (1 - belief[-1]).log().mean()
        (-value).backward()
        steps["d"].step()
        d.zero_grad()
        loss = -d(drawn, labels).sigmoid().log().mean()
        if self.feature_matching:
            reads = self.evaluation.classifier
            gap = reads((drawn + 1) / 2).mean(0) - reads((real + 1) / 2).mean(0)
            loss = loss + self.feature_matching * gap.square().mean()
        loss.backward()
        steps["g"].step()
        if triple:
            p = logits.softmax(1)
            rows = torch.arange(n)
            loss = -p[rows, labels].log().mean() - self.pseudo_label_weight * p[n + rows, labels].log().mean()
            loss = loss + self.alpha * (p[rows, guess] * (1 - belief[2]).log().detach()).mean()
            loss.backward()
            torch.optim.Adam(c.parameters(), rates["lr_classifier"], betas=(0.5, 0.999)).step()
        averaged.update_parameters(g)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "dcgan"},
        {"kind": "dcgan", "label_smoothing": 0.1, "feature_matching": 2.0, "lr_generator": 3e-3},
        {"kind": "dense", "label_smoothing": 0.1},
        {"kind": "improved", "lr_discriminator": 1e-3},
        {"kind": "conditional"},
        {"kind": "conditional", "mismatch_weight": 0.4},
        {"kind": "triple", "alpha": 0.3, "pseudo_label_weight": 0.2},
        {"kind": "triple", "alpha": 0.3, "mismatch_weight": 0.2},
    ],
)
def test_a_step_is_the_one_that_the_papers_write_down(settings, own_data, untrained):
    torch.manual_seed(0)
    module, data = Written(**FACTS, width=0.1, **settings), ImageData("digits", batch_size=32)
    quiet(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(module, data)
    for name, twin in module.twin.items():
        for (key, weight), expected in zip(getattr(module, name).named_parameters(), twin.parameters(), strict=True):
            assert torch.allclose(weight, expected, atol=2e-5, rtol=1e-3), f"{name}.{key}"


def test_labels_that_are_mismatched_are_all_wrong(monkeypatch, own_data, untrained):
    seen = []
    module, data = GAN(**FACTS, kind="conditional", width=0.1, mismatch_weight=0.3), ImageData("digits", batch_size=64)
    module.discriminator.register_forward_hook(lambda _, images_and_labels, __: seen.append(images_and_labels[1]))
    quiet(max_epochs=1, limit_train_batches=1, limit_val_batches=0).fit(module, data)
    true, of_drawn, wrong = seen[0].chunk(3)
    assert torch.equal(true, of_drawn)
    assert (true != wrong).all()
    assert len(wrong.unique()) == 10


def test_the_averaged_generator_follows_the_last_weights_with_its_normalisation():
    module = GAN(**FACTS, width=0.1, ema_decay=0.9)
    first, last = (GAN(**FACTS, width=0.1).generator for _ in range(2))
    first(torch.randn(4, 100))
    last(torch.randn(4, 100))  # moves the statistics of its batches
    module.averaged.update_parameters(first)
    module.averaged.update_parameters(last)
    one, other = first.state_dict(), last.state_dict()
    for name, mean in module.averaged.module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(mean, 2 / 11 * one[name] + 9 / 11 * other[name])  # not yet 0.9
    steps, later = torch.tensor(1000), [torch.zeros(2)]
    losses.moving_average(0.9)(later, [torch.ones(2)], steps)
    torch.testing.assert_close(later[0], torch.full((2,), 0.1))
    module.eval()
    codes = torch.randn(3, 100)
    torch.testing.assert_close(module(codes), (module.averaged.module(codes) + 1) / 2)
    last_ones = GAN(**FACTS, width=0.1, ema_decay=0.0).eval()
    torch.testing.assert_close(last_ones(codes), (last_ones.generator(codes) + 1) / 2)


def test_two_images_are_the_least(own_data, untrained):
    module, data = GAN(**FACTS, width=0.1), ImageData("digits", max_images=12)
    with pytest.raises(BadSetting, match=r"^data.max_images: FID needs at least two images"):
        quiet(max_epochs=1).fit(module, data)


def test_the_film_is_part_of_a_checkpoint():
    module = GAN(**FACTS, width=0.1)
    module.film.append(torch.ones(16, 1, 8, 8, dtype=torch.uint8))
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    other = GAN(**FACTS, width=0.1)
    other.on_load_checkpoint(checkpoint)
    assert torch.equal(other.film[0], module.film[0])


# ---- measures --------------------------------------------------------------------------------------------------------


class Pixels(reference.ReferenceClassifier):
    """A classifier whose features are the pixels, and which reads the brightest one."""

    def __init__(self):
        nn.Module.__init__(self)
        self.num_features = 4
        self.last = nn.Identity()

    def forward(self, images):
        return images.flatten(1)


def shaped(mean, covariance, count):
    """Images (count, 1, 2, 2) with exactly that mean and covariance of the pixels."""
    points = torch.randn(count, 4, dtype=torch.float64)
    points = points - points.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(points.T.cov()), points.T, upper=False).T
    return (mean + white @ torch.linalg.cholesky(covariance).T).view(count, 1, 2, 2)


def test_fid_of_two_gaussians_is_the_closed_form():
    torch.manual_seed(0)
    a, b = (torch.randn(4, 4, dtype=torch.float64) for _ in range(2))
    one, other = (m @ m.T + 0.1 * torch.eye(4) for m in (a, b))
    assert (one @ other - other @ one).abs().max() > 0.1  # they do not commute: the product of both is not symmetric
    first, second = torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    measures = Evaluation(Pixels(), [*"abcd"], "reference_classifier", False, CPU)
    for mean, covariance, real in ((first, one, True), (second, other, False)):
        for part in shaped(mean, covariance, 500).split(200):
            measures.fid.update(part, real=real)
    root = sqrtm(one.numpy())
    middle = np.real(sqrtm(root @ other.numpy() @ root))
    expected = float((first - second).square().sum() + one.trace() + other.trace()) - 2 * np.trace(middle)
    found = measures.fid.compute()
    assert found.is_floating_point()
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (0.0, 3.0)])
def test_fid_of_one_dimension_is_the_difference_of_means_and_deviations(shift, scale):
    torch.manual_seed(0)
    images = shaped(torch.zeros(4), torch.eye(4, dtype=torch.float64), 100)
    measures = Evaluation(Pixels(), [*"abcd"], "reference_classifier", False, CPU)
    measures.fid.update(images, real=True)
    measures.fid.update(images * scale + shift, real=False)
    assert float(measures.fid.compute()) == pytest.approx(4 * (shift**2 + (scale - 1) ** 2), abs=1e-6)


def test_divergence_of_known_distributions():
    measure = Divergence(3)
    measure.update(torch.tensor([0, 0, 0, 1]), real=True)  # counted once more: 4, 2 and 1 of 7
    measure.update(torch.tensor([[2, 2], [2, 1]]), real=False)  # 1, 2 and 4 of 7
    assert float(measure.compute()) == pytest.approx(4 / 7 * math.log(4) + 1 / 7 * math.log(1 / 4), rel=1e-9)
    many = Divergence(2)
    many.update((torch.arange(1_000_000) < 500_000).long(), real=True)
    many.update((torch.arange(1_000_000) < 200_000).long(), real=False)
    assert float(many.compute()) == pytest.approx(0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8), rel=1e-4)
    alike = Divergence(4)
    for real in (True, False):
        alike.update(torch.tensor([0, 1, 1]), real=real)
    assert float(alike.compute()) == 0


def test_diversity_is_a_share_of_the_variance_within_classes():
    torch.manual_seed(0)
    means, labels = 10 * torch.randn(3, 5), torch.arange(3000) % 3
    measure = Diversity(3, 5)
    noise = torch.randn(3000, 5)
    measure.update(means[labels] + 2 * noise, labels, real=True)
    measure.update(means[labels] + noise, labels, real=False)
    assert float(measure.compute()) == pytest.approx(0.25, rel=1e-4)
    collapsed = Diversity(3, 5)
    collapsed.update(means[labels] + noise, labels, real=True)
    collapsed.update(means[labels], labels, real=False)
    assert float(collapsed.compute()) == pytest.approx(0, abs=1e-9)


def test_means_by_class():
    measure = ByClass(3)
    measure.update(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0, 0, 2]))
    measure.update(torch.tensor([0.5]), torch.tensor([2]))
    classes, overall = measure.compute()
    assert classes.tolist()[::2] == [0.5, 0.75]
    assert classes[1].isnan()
    assert float(overall) == 2.5 / 4


def test_what_is_read_and_counted(monkeypatch):
    measures = Evaluation(Pixels(), [*"abcd"], "reference_classifier", True, CPU)
    eye = torch.eye(4).view(4, 1, 2, 2)
    logged = {}
    module = SimpleNamespace(log_dict=lambda found, **_: logged.update(found))
    measures.update(eye, torch.tensor([0, 1, 2, 3]), real=True)
    measures.update(eye[[0, 0, 1, 3]], torch.tensor([0, 1, 1, 0]), real=False)
    measures.log(module, "test")
    assert float(logged["test/reference_accuracy"]) == 1
    assert float(logged["test/conditional_accuracy"]) == 0.5
    assert measures.by_class[False][:2].tolist() == [0.5, 0.5]
    assert float(logged["test/kl_pixels"]) == 0  # as many black and white pixels
    counts = (torch.tensor([2.0, 2, 2, 2]) / 8, torch.tensor([3.0, 2, 1, 2]) / 8)
    expected = (counts[0] * (counts[0] / counts[1]).log()).sum()
    assert float(logged["test/kl_classes"]) == pytest.approx(float(expected), rel=1e-6)
    assert float(measures.fid.real_features_num_samples) == 0  # ready for the next evaluation


# ---- the reference classifier ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_classifier_reads_digits_is_kept_and_leaves_no_trace(own_data, capsys, monkeypatch):
    monkeypatch.setattr(reference, "STEPS", 200)
    data = ImageData("digits")
    before = torch.get_rng_state()
    first = reference.reference_classifier(data)
    assert "training the reference classifier of digits (once, " in capsys.readouterr().err
    assert torch.equal(torch.get_rng_state(), before)
    data.setup("test")
    test = data.tables["test"]
    _, read = first.read(first(test["image"].float() / 255))
    assert (read == test["label"]).float().mean() > 0.95, "0.99 after all its steps"
    monkeypatch.setattr(reference, "trained", None)
    again = reference.reference_classifier(data)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), again.parameters(), strict=True))


def test_the_classifier_is_a_function_of_the_images(own_data, monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "STEPS", 3)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        monkeypatch.setenv("LAB_DATA", str(tmp_path / f"cache{seed}"))
        found.append(reference.reference_classifier(ImageData("digits", max_images=100)))
    assert all(torch.equal(one, other) for one, other in zip(*(each.parameters() for each in found), strict=True))


# ---- drawing and pictures --------------------------------------------------------------------------------------------


def test_samples_of_a_class():
    torch.manual_seed(0)
    module = GAN(**FACTS, kind="conditional", width=0.1)
    images = module.sample(4, label="c")
    assert images.shape == (4, 1, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    assert module.training
    assert torch.equal(images, module.sample(4, label="c"))
    assert not torch.equal(images, module.sample(4, label="c", seed=1))
    assert not torch.equal(images, module.sample(4, label="d"))
    with pytest.raises(BadInput, match=r"^no class 'C'; did you mean 'c'\?$|^no class 'C'; known are a, b"):
        module.sample(1, label="C")
    with pytest.raises(BadInput, match="a GAN of kind dcgan is unconditional"):
        GAN(**FACTS, width=0.1).sample(1, label="c")


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 26), (1, 100)])
def test_pictures_can_be_drawn(channels, classes, tmp_path):
    torch.manual_seed(0)
    names = [f"c{i}" for i in range(classes)]
    frames = [torch.randint(0, 256, (16, channels, 8, 8), dtype=torch.uint8) for _ in range(11)]
    strip = pictures.film(frames)
    assert [text.get_text() for text in strip.axes[0].get_yticklabels()] == ["1", "2", "4", "5", "7", "8", "10", "11"]
    pictures.moving(frames, tmp_path / "film.gif")
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF89a")
    share = torch.rand(classes)
    share[1] = torch.nan
    shown_classes = names[: pictures.CLASSES]
    requested = torch.rand(len(shown_classes) * pictures.PER_CLASS, channels, 8, 8)
    for i, drawing in enumerate(
        [
            strip,
            pictures.epoch(torch.rand(16, channels, 8, 8), 3),
            pictures.beside(torch.rand(5, channels, 8, 8), torch.rand(70, channels, 8, 8)),
            pictures.by_class(requested, shown_classes),
            pictures.difficulty(share, torch.rand(classes), names, conditional=True),
        ]
    ):
        drawing.savefig(tmp_path / f"{i}.png")
    last = drawing.axes[0].get_xticklabels()
    assert classes > 40 or last[-1].get_text() == "c1"  # never drawn, so the hardest


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.kind=dgan"], "model.kind: expected 'dcgan', 'dense', 'improved', 'conditional' or 'triple', found"),
        (["data.name=faces"], "data: this dataset has no labels, which the reference classifier needs"),
        (["data.name=pet", "data.size=50"], "data: the generator doubles the size twice, so the image size"),
        (["model.extractor=inception"], "model.extractor: inception needs a package: pip install torch-fidelity"),
        (["model.alpha=1.0"], "model.alpha"),
    ],
)
def test_a_bad_recipe_is_one_line(overrides, message, monkeypatch):
    monkeypatch.setattr("torchmetrics.utilities.imports._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("gan_digits"), overrides))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)


def test_missing_weights_of_inception_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("torchmetrics.utilities.imports._TORCH_FIDELITY_AVAILABLE", True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(BadSetting, match=r"^extractor: no .*weights-inception.*; or use reference_classifier$"):
        shown.check("inception")


def test_half_precision_needs_a_loss_scaler(own_data, untrained):
    module = GAN(**FACTS, width=0.1)
    module._trainer = SimpleNamespace(precision="16-mixed")
    with pytest.raises(BadSetting, match="set it to bf16-mixed, 32-true or 64-true"):
        module.setup("fit")


# ---- learning --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_digits_can_be_read_and_are_those_that_were_asked_for(own_data):
    torch.manual_seed(0)
    settings = load(find_recipe("gan_digits"))
    module, data = GAN(**FACTS, **settings.model), ImageData(**settings.data)
    trainer = quiet(max_epochs=14, limit_val_batches=0)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    assert found["test/reference_accuracy"] > 0.97
    assert found["test/conditional_accuracy"] > 0.8, "0.95 and more where it was measured; a tenth, had it not heard"
    assert found["test/fid"] < 150, "40 to 60 where it was measured; about 900 before training"
