"""Networks by name: what they map to what, how large they are, and what they refuse."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from lab.errors import BadSetting, LabError
from lab.vision.networks.conv_attention import CBAM, SE
from lab.vision.networks.registry import NETWORKS, make
from lab.vision.networks.timm_classifier import TimmClassifier

SMALLEST = [(name, least) for name, (_, least) in NETWORKS.items()]


def count(network, only_trained=False):
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not only_trained)


@pytest.mark.parametrize(("name", "size"), [*SMALLEST, *((name, 30) for name in NETWORKS)])
def test_a_gradient_reaches_every_weight(name, size):
    torch.manual_seed(0)
    network = make(name, 3, size, 7)
    logits = network(torch.randn(16, 3, size, size))
    assert logits.shape == (16, 7)
    F.cross_entropy(logits, torch.arange(16) % 7).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_cnn_is_the_one_of_the_source():
    layers = [layer for layer in make("cnn", 3, 32, 100) if not isinstance(layer, nn.Flatten)]
    assert [type(layer).__name__ for layer in layers] == [
        *["Conv2d", "MaxPool2d", "ReLU"] * 2, "Linear", "ReLU", "OutputLinear",
    ]  # fmt: skip
    assert (layers[0].out_channels, layers[0].kernel_size, layers[1].kernel_size) == (32, (3, 3), 2)
    assert (layers[-3].out_features, layers[-1].out_features) == (128, 100)
    weights = [(3 * 9 + 1) * 32, (32 * 9 + 1) * 64, (64 * 8 * 8 + 1) * 128, (128 + 1) * 100]
    assert count(make("cnn", 3, 32, 100)) == sum(weights) == 556_708


def test_pooling_first_gives_the_same_numbers_and_gradients():
    torch.manual_seed(0)
    convolution, pool, relu = make("cnn", 3, 12, 5)[:3]
    images = torch.randn(4, 3, 12, 12)
    ours = relu(pool(convolution(images)))
    theirs = F.max_pool2d(F.relu(convolution(images)), 2)
    assert torch.equal(ours, theirs)
    for mine, other in zip(
        *(torch.autograd.grad(found.square().sum(), convolution.parameters()) for found in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(mine, other)


def test_the_perceptron_and_lenet_have_the_sizes_they_claim():
    assert count(make("mlp", 1, 28, 10)) == 785 * 256 + 257 * 128 + 129 * 10
    assert count(make("lenet", 1, 28, 10)) == 61_706  # as LeNet-5 with all maps connected


def test_squeeze_and_excitation_is_what_the_paper_says():
    torch.manual_seed(0)
    block, maps = SE(16), torch.randn(3, 16, 5, 4)
    expected = torch.empty_like(maps)
    for b in range(3):
        z = torch.tensor([maps[b, c].mean() for c in range(16)])
        s = torch.sigmoid(
            block.excite.weight @ (block.squeeze.weight @ z + block.squeeze.bias).clamp(min=0) + block.excite.bias
        )
        for c in range(16):
            expected[b, c] = maps[b, c] * s[c]
    torch.testing.assert_close(block(maps), expected)


def test_cbam_is_what_the_paper_says():
    torch.manual_seed(0)
    block, maps = CBAM(16, kernel=3), torch.randn(2, 16, 5, 4)
    expected = torch.empty_like(maps)
    weight, bias = block.spatial.weight[0], block.spatial.bias
    for b in range(2):
        means, peaks = (torch.stack([of(maps[b, c]) for c in range(16)]) for of in (torch.mean, torch.max))
        weighed = maps[b] * torch.sigmoid(block.shared(means) + block.shared(peaks)).view(16, 1, 1)
        across = F.pad(torch.stack([weighed.mean(0), weighed.max(0).values]), (1, 1, 1, 1))
        for y in range(5):
            for x in range(4):
                place = torch.sigmoid((across[:, y : y + 3, x : x + 3] * weight).sum() + bias)
                expected[b, :, y, x] = weighed[:, y, x] * place
    torch.testing.assert_close(block(maps), expected)


@pytest.mark.parametrize(("size", "patches"), [(8, 16), (28, 49), (32, 64), (96, 64)])
def test_a_vision_transformer_cuts_an_image_into_about_64_patches_of_two_pixels_and_more(size, patches):
    assert make("vit", 1, size, 5).positions.weight.shape == (patches + 1, 128)


def test_a_transformer_sees_where_a_patch_lies():
    torch.manual_seed(0)
    images = torch.randn(2, 1, 16, 16)
    for name in ("vit", "cnn_transformer"):
        network = make(name, 1, 16, 5).eval()
        assert not torch.allclose(network(images), network(images.roll(8, -1)), atol=1e-5)


def test_a_frozen_backbone_moves_nothing_but_its_classifier():
    torch.manual_seed(0)
    network = make("timm:resnet10t", 1, 32, 5, frozen=True)
    assert count(network, only_trained=True) == count(network.network.get_classifier()) == 513 * 5
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    F.cross_entropy(network(torch.randn(8, 1, 32, 32)), torch.arange(8) % 5).backward()
    optimizer.step()
    moved = {key.split(".")[1] for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"fc"}


@pytest.mark.slow
def test_trained_weights_are_taken_where_timm_finds_them(tmp_path, monkeypatch):
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t")  # of photographs in colour, with 1,000 classes
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    create = timm.create_model

    def found(name, **settings):
        return create(name, **settings, pretrained_cfg_overlay={"file": str(tmp_path / "weights.pth")})

    network = TimmClassifier("resnet10t", 3, 32, 5)
    first = network.network.conv1[0].weight.clone()
    monkeypatch.setattr(timm, "create_model", found)
    network.load_pretrained()
    assert torch.equal(network.network.conv1[0].weight, theirs.conv1[0].weight)
    assert not torch.equal(network.network.conv1[0].weight, first)
    assert network.network.fc.out_features == 5


def test_weights_that_are_nowhere_are_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("We couldn't connect to 'https://huggingface.co'\nto load the files")

    network = TimmClassifier("resnet10t", 3, 32, 5)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        LabError, match=r"there are no pretrained weights for timm:resnet10t .*leave out pretrained"
    ) as error:
        network.load_pretrained()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cn", 1, 28, 10), "network: no network 'cn'; did you mean 'cnn'?"),
        (("xyz", 1, 28, 10), "network: no network 'xyz'; known are mlp, cnn, lenet, plain_cnn, "),
        (("lenet", 1, 8, 10), "network: lenet needs images of 12 x 12, found 8 x 8; use mlp, cnn, plain_cnn"),
        (("cnn", 1, 28, 10, True), "frozen: cnn has no pretrained backbone to freeze"),
        (("timm:resnet81", 3, 32, 10), "network: timm has no network 'resnet81'; did you mean 'timm:resnet18'?"),
        (("timm:vit_tiny_patch16_224", 3, 8, 10), "network: timm:vit_tiny_patch16_224 cannot take images of 8 x 8: "),
    ],
)
def test_a_bad_choice_is_one_line(arguments, message):
    with pytest.raises(BadSetting) as error:
        make(*arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mlp", {"hidden": [16], "activation": "sigmoid", "norm": "batch", "dropout": 0.5, "init": "orthogonal"}),
        ("cnn", {"widths": [4, 8, 8], "kernel": 5, "pool": "avg", "activation": "silu", "norm": "batch"}),
        ("cnn", {"widths": [4], "stride": 2, "padding": 0, "pool": "none", "activation": "leaky_relu", "dropout": 0.2}),
        ("cnn", {"hidden": [], "activation": "tanh", "init": "xavier_normal"}),
        ("vit", {"width": 32, "depth": 1, "heads": 8, "patch": 4}),
        ("cnn_transformer", {"width": 32, "depth": 2, "heads": 2}),
        ("plain_cnn", {"width": 8}),
    ],
)
def test_the_switches_of_a_network_reach_its_layers(name, settings):
    torch.manual_seed(0)
    network = make(name, 3, 16, 7, settings=settings)
    logits = network(torch.randn(16, 3, 16, 16))
    F.cross_entropy(logits, torch.arange(16) % 7).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    kinds = {type(layer) for layer in network.modules()}
    of = {"silu": nn.SiLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    assert of.get(settings.get("activation"), nn.Module) in {*kinds, nn.Module}
    assert (nn.AvgPool2d in kinds) == (settings.get("pool") == "avg")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cnn", {"widhts": [4]}, "network_args: cnn has no argument 'widhts'; did you mean 'widths'"),
        ("cnn", {"widths": [0]}, "widths: expected greater than 0, found .0."),
        ("cnn", {"activation": "relo"}, "activation: expected 'relu', 'leaky_relu'.*found 'relo'"),
        ("cnn", {"stride": 4}, "nothing is left of images of 16 x 16"),
        ("cnn", {"dropout": 1.0}, "dropout: expected less than 1, found 1.0"),
        ("vit", {"heads": 3}, "heads: 3 do not divide the width of 128"),
        ("vit", {"patch": 17}, "patch: 17 pixels are more than the image's 16"),
        ("timm:resnet18", {"depth": 3}, "timm:resnet18 takes none"),
    ],
)
def test_switches_that_a_network_does_not_have_are_one_line(name, settings, message):
    with pytest.raises(BadSetting, match=message) as error:
        make(name, 3, 16, 7, settings=settings)
    assert "\n" not in str(error.value)


def test_the_trunk_without_attention_is_the_one_with_it():
    layers = {name: [type(each) for each in make(name, 3, 16, 7)] for name in ("plain_cnn", "se_cnn", "cbam_cnn")}
    assert layers["plain_cnn"] == [kind for kind in layers["se_cnn"] if kind is not SE]
    assert layers["plain_cnn"] == [kind for kind in layers["cbam_cnn"] if kind is not CBAM]


def test_a_vit_says_where_it_looks():
    network = make("vit", 3, 16, 7).eval()
    maps = network.attention(torch.randn(2, 3, 16, 16))
    assert maps.shape == (2, 8, 8)
    assert (maps.flatten(1).sum(1) < 1).all(), "the class token looks at itself as well"
