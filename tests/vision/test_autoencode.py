"""The task `autoencode`: the network of the source, losses, disturbed input, figures, pictures, and what it refuses."""

import pytest
import torch
from lightning import Trainer
from sklearn.neighbors import KNeighborsClassifier
from torch import distributions, nn
from torch.nn import functional as F

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.autoencode import NEIGHBOURS, Autoencode, divergence, knn_accuracy
from lab.vision.data.image_data import ImageData
from lab.vision.networks.autoencoder import MIN_SIZE, Autoencoder, EncoderClassifier
from lab.vision.networks.registry import make
from lab.vision.plots import autoencode as pictures

FACTS = {"channels": 1, "size": 28, "class_names": [*"abc"], "mean": [0.2], "std": [0.4]}


def quiet(**settings):
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(accelerator="cpu", devices=1, logger=False, num_sanity_val_steps=0, **silent, **settings)


def letters(images=256, **settings):
    torch.manual_seed(0)
    data = ImageData("letters", max_images=images, batch_size=64)
    return Autoencode(**{name: data.facts()[name] for name in FACTS}, **settings), data


# ---- the network -----------------------------------------------------------------------------------------------------


def test_the_layers_are_those_of_the_source():
    network = Autoencoder(1, 28, 32, 0.1, variational=False)
    assert [type(layer) for layer in network.encoder] == [
        nn.Conv2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.Flatten, nn.Linear,
    ]  # fmt: skip
    assert [type(layer) for layer in network.decoder] == [
        nn.Linear, nn.Unflatten, nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.ConvTranspose2d, nn.ReLU,
        nn.ConvTranspose2d,
    ]  # fmt: skip

    def said(layers):
        return [
            (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
            for layer in layers
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        ]

    there = [(1, 8, (3, 3), (2, 2), (1, 1)), (8, 16, (3, 3), (2, 2), (1, 1)), (16, 32, (3, 3), (2, 2), (0, 0))]
    assert said(network.encoder) == there
    assert said(network.decoder) == [(n_out, n_in, *rest) for n_in, n_out, *rest in reversed(there)]
    assert (network.encoder[-1].in_features, network.encoder[-1].out_features) == (32 * 3 * 3, 32)
    assert (network.decoder[0].in_features, network.decoder[0].out_features) == (32, 32 * 3 * 3)
    module = Autoencode(**FACTS).eval()
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(module(images), module.network(module.normalise(images))[0].sigmoid())


@pytest.mark.parametrize("size", [*range(MIN_SIZE, 20), 28, 32, 33])
def test_images_come_out_as_large_as_they_went_in(size):
    network = Autoencoder(3, size, 5, 0.0, variational=False)
    images, maps = torch.rand(2, 3, size, size), []
    for layer in (*network.encoder, *network.decoder):
        layer.register_forward_hook(lambda _layer, _given, found: maps.append(found.shape[1:]))
    logits, code, _ = network(images)
    assert logits.shape == images.shape
    assert code.shape == (2, 5)
    there, back = maps[: len(network.encoder)], maps[len(network.encoder) :]
    sides = [list(dict.fromkeys(shape[-1] for shape in shapes if len(shape) == 3)) for shapes in (there, back)]
    assert sides[1] == [*sides[0][::-1], size], "each map of the decoder is as large as one of the encoder"


def test_the_variational_encoder_has_the_same_names():
    plain, drawn = (Autoencoder(1, 28, 32, 0.1, variational).state_dict() for variational in (False, True))
    assert drawn.keys() - plain.keys() == {"log_variance.weight", "log_variance.bias"}
    classifier = make("encoder", 1, 28, 26)
    assert isinstance(classifier, EncoderClassifier)
    kept = {name: value.shape for name, value in plain.items() if name.startswith("encoder.")}
    found = {name: value.shape for name, value in classifier.state_dict().items() if name.startswith("encoder.")}
    assert found == kept


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_the_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(6, 4), torch.randn(6, 4)
    code = distributions.Normal(mean, (log_variance / 2).exp())
    expected = distributions.kl_divergence(code, distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_drawn_codes_have_the_mean_and_the_spread_that_the_encoder_says():
    torch.manual_seed(0)
    network = Autoencoder(1, 12, 3, 0.0, variational=True).eval()
    network.decoder = nn.Identity()
    image = torch.rand(1, 1, 12, 12).expand(20_000, -1, -1, -1)
    with torch.inference_mode():
        codes, mean, log_variance = network(image, torch.randn(20_000, 3))
    torch.testing.assert_close(codes.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(codes.std(0), (log_variance[0] / 2).exp(), atol=0.03, rtol=0)


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_losses_are_the_ones_that_the_page_gives(loss):
    module = Autoencode(**FACTS, loss=loss, beta=0.5)
    images, logits = torch.rand(4, 1, 28, 28), torch.randn(4, 1, 28, 28)
    mean, log_variance = torch.randn(4, 32), torch.randn(4, 32)
    found = module.terms(images, logits, mean, log_variance)
    output = logits.sigmoid()
    errors = {
        "mse": (output - images).square(),
        "bce": -(images * output.log() + (1 - images) * (1 - output).log()),
    }
    torch.testing.assert_close(found["mse"], errors["mse"].mean((1, 2, 3)))
    torch.testing.assert_close(found[loss], errors[loss].mean((1, 2, 3)))
    torch.testing.assert_close(found["kl"], divergence(mean, log_variance))
    torch.testing.assert_close(found["loss"], errors[loss].sum((1, 2, 3)) + 0.5 * found["kl"])


def test_the_target_of_a_corrupted_image_is_the_clean_one():
    torch.manual_seed(0)
    module = Autoencode(**FACTS, corruption={"noise": 0.5, "salt_and_pepper": 0.2, "occlude": 0.5})
    images = torch.rand(4, 1, 28, 28)
    clean = images.clone()
    given = []
    module.network.register_forward_pre_hook(lambda _network, inputs: given.append(inputs[0]))
    module.eval()
    loss, _ = module.training_loss({"image": images}, 0.0)
    assert torch.equal(images, clean)
    assert (given[0] - module.normalise(images)).abs().mean() > 0.3
    output = module.network(given[0])[0].sigmoid()
    torch.testing.assert_close(loss, (output - images).square().sum((1, 2, 3)).mean())
    again, _ = module.training_loss({"image": images}, 0.0)
    assert not torch.equal(loss, again), "every step corrupts in another way"
    first, second = (module.evaluate_batch({"image": images})["seen"] for _ in range(2))
    assert torch.equal(first, second), "every validation in the same"


@pytest.mark.slow
def test_26_classes_are_told_apart_on_a_map():
    names = [chr(ord("A") + i) for i in range(26)]
    vectors, labels = torch.randn(52, 4), torch.arange(52) % 26
    drawing = pictures.codes(vectors, labels, names, None)
    (axes,) = drawing.axes
    looks = {
        group.get_label(): (group.get_facecolor()[0][:3].tobytes(), group.get_paths()[0].vertices.tobytes())
        for group in axes.collections
    }
    assert list(looks) == names
    assert len(set(looks.values())) == 26, "by colour and marker"
    assert len({marker for _, marker in list(looks.values())[:8]}) == 8, "and the first eight without colours"
    assert [text.get_text() for text in axes.get_legend().texts] == names


def test_neighbours_vote_as_those_of_scikit_learn(monkeypatch):
    torch.manual_seed(0)
    labels = torch.randint(7, (2_500,))
    codes = torch.randn(2_500, 3) + F.one_hot(labels, 7)[:, :3] * 2
    vote = KNeighborsClassifier(NEIGHBOURS + 1).fit(codes, labels)
    nearest = labels[torch.from_numpy(vote.kneighbors(codes, return_distance=False))][:, 1:]  # the first is itself
    expected = float((nearest.mode(1).values == labels).float().mean())
    assert knn_accuracy(codes, labels) == pytest.approx(expected)
    assert knn_accuracy(torch.tensor([[0.0], [0.1], [5.0], [5.1]]), torch.tensor([0, 0, 0, 0])) == 1.0
    assert knn_accuracy(codes[:1], labels[:1]) == 0.0


# ---- training, figures, pictures -------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_variational_one_that_is_disturbed_says_everything(monkeypatch):
    module, data = letters(latent_dim=4, loss="bce", beta=2.0, corruption={"noise": 0.2})
    drawn = {}
    monkeypatch.setattr("lab.plots.log_figure", lambda _, name, picture: drawn.update({name: picture}))
    trainer = quiet(max_epochs=1, limit_test_batches=2)
    trainer.fit(module, data)
    names = {"loss", "mse", "bce", "kl", "corrupted_mse"}
    assert {f"val/{name}" for name in names} <= trainer.callback_metrics.keys()
    (found,) = trainer.test(module, data, verbose=False)
    assert found.keys() == {f"test/{name}" for name in (*names, "knn_accuracy")}
    assert found["test/corrupted_mse"] == pytest.approx(0.02, abs=0.008), "half of it is cut off below black"
    assert found["test/kl"] > 0
    assert found["test/loss"] > 784 * 0.1
    assert drawn.keys() == {
        "reconstructions.png",
        "interpolation.png",
        "codes.png",
        "latent_traversal.png",
        "samples.png",
    }
    assert len(drawn["reconstructions.png"].axes) == 3


def test_images_without_labels_are_enough(monkeypatch, tmp_path):
    module = Autoencode(**FACTS | {"class_names": []})
    drawn = {}
    monkeypatch.setattr("lab.plots.log_figure", lambda _, name, picture: drawn.update({name: picture}))
    loader = torch.utils.data.DataLoader([{"image": torch.rand(1, 28, 28)} for _ in range(12)], 6)
    (found,) = quiet().test(module, loader, verbose=False)
    assert found.keys() == {"test/loss", "test/mse"}
    assert drawn.keys() == {"reconstructions.png", "interpolation.png", "codes.png"}


@pytest.mark.long
def test_digits_come_back_and_codes_of_a_digit_lie_together():
    torch.manual_seed(0)
    data = ImageData("digits", size=28, batch_size=64)
    module = Autoencode(**{name: data.facts()[name] for name in FACTS}, lr=5e-3)
    trainer = quiet(max_epochs=8, limit_val_batches=0)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    assert found["test/mse"] < 0.02, "0.047 for the mean image"
    assert found["test/knn_accuracy"] > 0.85, "0.1 by chance"


def test_the_walk_ends_with_the_images_and_axes_pass_the_mean(monkeypatch):
    asked = []

    def decode(codes):
        asked.append(codes)
        return torch.rand(len(codes), 1, 8, 8)

    codes = torch.randn(9, 3)
    pictures.interpolation(decode, torch.rand(9, 1, 8, 8), codes)
    ways = asked[0].unflatten(0, (4, pictures.STEPS))
    torch.testing.assert_close(ways[:, 0], codes[:8:2])
    torch.testing.assert_close(ways[:, -1], codes[1:8:2])
    torch.testing.assert_close(ways.diff(dim=1), ways.diff(dim=1)[:, :1].expand(-1, pictures.STEPS - 1, -1))
    pictures.latent_traversal(decode, codes)
    rows = asked[1].unflatten(0, (3, pictures.STEPS))
    torch.testing.assert_close(rows[:, pictures.STEPS // 2], codes.mean(0).expand(3, -1))
    moved = (rows[:, -1] - rows[:, 0]) / codes.std(0, correction=0)
    torch.testing.assert_close(moved, 2 * pictures.FARTHEST * torch.eye(3), atol=1e-5, rtol=1e-5)


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.name=digits"], "data: the encoder needs images of 9 x 9, found 8 x 8"),
        (["model.corruption={nois: 0.1}"], "model.corruption: no augmentation 'nois'; did you mean 'noise'?"),
        (
            ["model.corruption={flip: 0.1}"],
            "model.corruption: no augmentation 'flip'; known are noise, salt_and_pepper",
        ),
        (["model.corruption={occlude: 2}"], "model.corruption: occlude is a fraction, at most 1; found 2"),
        (["model.beta=0"], "model.beta: expected a number above 0 or null, found 0"),
        (["model.loss=bec"], "model.loss: expected 'mse' or 'bce', found 'bec'; did you mean 'bce'?"),
    ],
)
def test_a_bad_recipe_is_one_line(overrides, message):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("autoencode_letters"), overrides))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)
