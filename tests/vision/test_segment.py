"""The task `segment`: losses, overlaps, what is trained of which network, pictures, and what it refuses."""

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from lightning import Trainer
from torch import nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

from lab.data import Table, TableLoader
from lab.errors import BadSetting, LabError, RecipeError
from lab.plots import figure
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.generated import scenes
from lab.vision.data.images import to_batch
from lab.vision.networks.decoder import UpsamplingDecoder
from lab.vision.networks.segmentation import BUILDERS, Segmenter, builder
from lab.vision.plots import segment as pictures
from lab.vision.plots.tiles import heading, tinted
from lab.vision.segment import Segment, classes, criterion, overlaps, tidy, wrong

SMALL = {"encoder": "timm:lcnet_050", "depth": 3}
NAMES = list(scenes.MASK_CLASSES)
FACTS = {"channels": 3, "size": 32, "mask_names": NAMES, "mean": [0.5] * 3, "std": [0.2] * 3}
PAIR = FACTS | {"mask_names": ["background", "shape"]}


def some_scenes(count, binary=False):
    whole = scenes.load_100(True, count, 0)
    mask = whole["mask"]
    return Table({"image": whole["image"], "mask": (mask > 0).to(torch.uint8) if binary else mask})


def some_logits(k, count=4):
    torch.manual_seed(0)
    masks = torch.randint(max(k, 2), (count, 6, 5))
    masks[:, :2] = 255
    return torch.randn(count, k, 6, 5), masks


def trained(module):
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


# ---- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 4])
def test_losses_are_the_ones_that_the_page_gives(k):
    logits, masks = some_logits(k)
    known = masks != 255
    z, y = logits.movedim(1, -1)[known], masks[known]  # (N, K), (N,)
    hot = y.unsqueeze(1).float() if k == 1 else F.one_hot(y, k).float()
    p = z.sigmoid() if k == 1 else z.softmax(1)
    right = torch.where(hot > 0, z.sigmoid(), 1 - z.sigmoid())
    likely = right.squeeze(1) if k == 1 else p[range(len(y)), y]
    expected = {
        "cross_entropy": -likely.log().mean(),
        "dice": (1 - 2 * (p * hot).sum(0) / (p.sum(0) + hot.sum(0))).mean(),
        "focal": (-((1 - right) ** 2) * right.log()).mean(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(criterion(name, k == 1)(logits, masks), value)
    facts = FACTS | {"mask_names": [*"abcd"][: max(k, 2)]}
    both = Segment(**facts, **SMALL, loss=("dice", "focal"))
    torch.testing.assert_close(both.loss(logits, masks), expected["dice"] + expected["focal"])


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("name", ["cross_entropy", "dice", "focal"])
def test_a_pixel_without_a_class_has_no_gradient(k, name):
    logits, masks = some_logits(k)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(criterion(name, k == 1)(logits, masks), logits)
    unknown = (masks == 255).unsqueeze(1).expand_as(gradient)
    assert not gradient[unknown].any()
    assert gradient[~unknown].all()


def test_a_batch_without_any_class_changes_nothing():
    module = Segment(**PAIR, **SMALL, loss=("cross_entropy", "dice", "focal"))
    logits = torch.randn(2, 1, 6, 5, requires_grad=True)
    loss = module.loss(logits, torch.full((2, 6, 5), 255))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss == 0
    assert not gradient.any()


# ---- metrics ---------------------------------------------------------------------------------------------------------


def test_overlaps_are_those_of_torchmetrics_over_the_whole_set():
    torch.manual_seed(0)
    found, masks = torch.randint(4, (2, 40, 8, 8))  # nobody has seen or said class 4
    masks[:, 0] = 255
    masks[:20][masks[:20] == 2] = 0  # in the first batch, class 2 is only in what was found
    module = Segment(**FACTS | {"mask_names": [*"abcde"]}, **SMALL)
    jaccard = MulticlassJaccardIndex(5, average="none", ignore_index=255)
    f1 = MulticlassF1Score(5, average="none", ignore_index=255)
    for part in (slice(0, 20), slice(20, 40)):
        module.confusion.update(found[part], masks[part])
        jaccard.update(found[part], masks[part])
        f1.update(found[part], masks[part])
    scores = overlaps(module.confusion.compute())
    known = masks != 255
    by_hand = [((found == i) & (masks == i)).sum() / (((found == i) | (masks == i)) & known).sum() for i in range(4)]
    torch.testing.assert_close(scores["iou"][:4], torch.stack(by_hand))
    torch.testing.assert_close(scores["iou"][:4], jaccard.compute()[:4])
    torch.testing.assert_close(scores["dice"][:4], f1.compute()[:4])
    assert scores["iou"][4].isnan()
    assert scores["dice"][4].isnan()
    torch.testing.assert_close(scores["accuracy"], (found == masks)[known].float().mean())
    torch.testing.assert_close(1 - wrong(found, masks).mean(), scores["accuracy"])  # all images have as many pixels


@pytest.mark.slow
@pytest.mark.parametrize("binary", [True, False])
def test_the_test_measures_every_image_and_keeps_the_worst(binary, monkeypatch):
    torch.manual_seed(0)
    images, drawn = some_scenes(50, binary), {}
    monkeypatch.setattr("lab.plots.log_figure", lambda _, name, figure: drawn.update({name: figure}))
    monkeypatch.setattr(pictures, "overlays", lambda part, *_: part)
    monkeypatch.setattr(pictures, "bars", lambda *scores: scores)
    module = Segment(**PAIR if binary else FACTS, **SMALL)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    (found,) = Trainer(accelerator="cpu", **silent).test(
        module, TableLoader(images, 20, collate=to_batch), verbose=False
    )
    masks = images["mask"].long()
    with torch.inference_mode():
        said = classes(module.eval()(images["image"].float() / 255))
    names = module.names
    by_hand = [
        float(((said == i) & (masks == i)).sum() / ((said == i) | (masks == i)).sum()) for i in range(len(names))
    ]
    assert found["test/iou"] == pytest.approx(np.nanmean(by_hand), rel=1e-5)
    assert [found[f"test/iou_{name}"] for name in names] == pytest.approx(by_hand, rel=1e-5)
    assert found["test/accuracy"] == pytest.approx(float((said == masks).float().mean()), rel=1e-5)
    shares = (said != masks).float().mean((1, 2))
    torch.testing.assert_close(drawn["worst.png"]["error"], shares.topk(pictures.COLUMNS).values)
    torch.testing.assert_close(drawn["overlays.png"]["error"], shares[: pictures.COLUMNS])


def test_a_class_of_any_name_can_be_part_of_a_metric():
    assert tidy("Straße (5 %), links") == "Straße _5 ___ links"


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["unet", "fpn", "deeplabv3plus", "pan", pytest.param("dpt", marks=pytest.mark.long), "generic"]
)
def test_every_architecture_takes_sides_that_it_cannot_halve(name):
    torch.manual_seed(0)
    encoder = "timm:test_vit" if name == "dpt" else "timm:lcnet_050"
    size = 118 if name == "pan" else 70  # it pools three times more than it says
    network = Segmenter(name.upper(), encoder, 3, size, 4).eval()
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        found = network(images)
        assert found.shape == (2, 4, size, size)
        whole = F.pad(images, (0, -size % network.stride, 0, -size % network.stride), mode="replicate")
        torch.testing.assert_close(found, network(whole)[..., :size, :size])
        if name != "generic":
            settings = {"dynamic_img_size": True} if name == "dpt" else {}
            theirs = smp.create_model(name, encoder.replace("timm:", "tu-"), None, 3, 4, **settings).eval()
            theirs.encoder, theirs.segmentation_head = network.encoder, network.head
            theirs.decoder = network.decoder.decoder if name == "dpt" else network.decoder
            torch.testing.assert_close(found, theirs(whole)[..., :size, :size])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "plain_unet", "generic", "torchvision:deeplabv3_mobilenet_v3_large"])
def test_what_is_not_tuned_stays_as_it_is(name):
    for trainable, free in (
        ("head", {"head"}),
        ("decoder", {"decoder", "head"}),
        ("all", {"encoder", "decoder", "head"}),
    ):
        torch.manual_seed(0)
        network = Segmenter(name, "timm:lcnet_050", 3, 32, 4, trainable=trainable).train()
        assert {key.split(".")[0] for key in trained(network)} == free
        before = {key: value.clone() for key, value in network.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
        F.cross_entropy(network(torch.rand(4, 3, 32, 32)), torch.randint(4, (4, 32, 32))).backward()
        optimizer.step()
        after = network.state_dict()
        changed = {key.split(".")[0] for key, value in after.items() if not torch.equal(value, before[key])}
        assert changed == free, "statistics of normalisation included"


def test_depth_takes_the_last_steps_of_a_u_net():
    network = Segmenter("unet", "timm:lcnet_050", 1, 32, 4, depth=3)
    assert [block.conv1[0].out_channels for block in network.decoder.blocks] == [64, 32, 16]
    assert network.stride == 8


@pytest.mark.parametrize("depth", [1, 2])
def test_the_plain_u_net_is_that_of_the_paper(depth):
    network = Segmenter("plain_unet", "unused", 3, 16, 4, depth=depth)
    shapes = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda _, given, found: shapes.append((given[0].shape[1], *found.shape[1:3])))
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 4, 16, 16)
    top, end = [(3, 64, 16), (64, 64, 16)], [(128, 64, 16), (128, 64, 16), (64, 64, 16), (64, 4, 16)]
    low = [(64, 128, 8), (128, 128, 8)]
    lowest = [(128, 256, 4), (256, 256, 4), (256, 128, 8), (256, 128, 8), (128, 128, 8)]
    assert shapes == [*top, *low, *(lowest if depth == 2 else []), *end]


def test_what_is_at_full_size_reaches_the_head_of_the_plain_u_net():
    torch.manual_seed(0)
    network = Segmenter("plain_unet", "unused", 1, 8, 2, depth=1).eval()
    images = torch.rand(1, 1, 8, 8)
    maps = network.encoder(images)
    silent = [maps[0], torch.zeros_like(maps[1])]
    beside = network.decoder(silent) - network.decoder([torch.zeros_like(each) for each in maps])
    assert beside.abs().max() > 0.01


def test_a_depth_that_a_library_cannot_have_is_one_line():
    with pytest.raises(BadSetting, match=r"^depth: unet needs 3 or more, found 2; plain_unet needs 1$"):
        Segmenter("unet", "resnet18", 1, 32, 4, depth=2)


def test_stages_that_a_smaller_depth_leaves_out_are_not_trained():
    network = Segmenter("unet", "resnet18", 1, 32, 4, depth=3)
    idle = {name.split(".")[1] for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert idle == {"layer3", "layer4"}
    F.cross_entropy(network(torch.rand(4, 1, 32, 32)), torch.randint(4, (4, 32, 32))).backward()
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)


def test_a_decoder_goes_back_to_the_size_of_the_image():
    maps = torch.randn(2, 24, 4, 4)
    for stride, side in ((8, 32), (7, 32), (14, 64), (1, 4)):
        decoder = UpsamplingDecoder(24, stride)
        assert decoder(maps).shape == (2, decoder.width, side, side)
    assert [step[1].out_channels for step in UpsamplingDecoder(24, 8)] == [64, 32, 16]


def test_a_stride_that_is_no_power_of_two_is_scaled(monkeypatch):
    head = torch.nn.Conv2d(16, 5, 1)
    monkeypatch.setitem(BUILDERS, "coarse", lambda _: (torch.nn.AvgPool2d(7), UpsamplingDecoder(3, 7), head, 7))
    network = Segmenter("coarse", "", 3, 40, 5).eval()
    images = torch.rand(2, 3, 40, 40)
    whole = F.pad(images, (0, 2, 0, 2), mode="replicate")
    maps = network.decoder(F.avg_pool2d(whole, 7))  # (2, 16, 48, 48)
    expected = F.interpolate(head(maps), (42, 42), mode="bilinear")[..., :40, :40]
    torch.testing.assert_close(network(images), expected)


def test_the_generic_network_sees_the_last_map_alone():
    network = Segmenter("generic", "timm:lcnet_050", 3, 64, 4).eval()
    maps = network.encoder(torch.rand(2, 3, 64, 64))
    blind = [torch.zeros_like(each) for each in maps[:-1]]
    assert torch.equal(network.decoder([*blind, maps[-1]]), network.decoder(maps))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "torchvision:deeplabv3_mobilenet_v3_large"])
def test_trained_weights_are_taken_but_for_the_last_layer(name, monkeypatch):
    network = Segmenter(name, "timm:lcnet_050", 3, 32, 4)
    asked = {}

    def build(spec):
        asked["pretrained"] = spec.pretrained
        parts = builder(name)(type(spec)(spec.encoder, 3, 32, 4))
        for parameter in (parameter for part in parts[:3] for parameter in part.parameters()):
            torch.nn.init.constant_(parameter, 0.25)
        return parts

    monkeypatch.setattr(network, "build", build)
    kept = {key: value.clone() for key, value in network.head.state_dict().items()}
    network.load_pretrained()
    assert asked == {"pretrained": True}
    for part in (network.encoder, network.decoder):
        assert all((parameter == 0.25).all() for parameter in part.parameters())
    assert all(torch.equal(value, kept[key]) for key, value in network.head.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoder"),
    [("unet", "resnet18"), ("unet", "timm:lcnet_050"), ("torchvision:fcn_resnet50", "")],
)
def test_weights_that_cannot_be_had_are_one_line(name, encoder, monkeypatch):
    network = Segmenter(name, encoder, 3, 32, 4)

    def offline(*_, **__):
        raise OSError("no network\nat all")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    monkeypatch.setattr("timm.models._builder.load_pretrained", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(
        LabError, match=f"^there are no pretrained weights for {name}.*once online, or leave out pretrained"
    ) as error:
        network.load_pretrained()
    assert "\n" not in str(error.value)


# ---- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 8])
def test_pictures_can_be_drawn(count, tmp_path):
    images = some_scenes(count)
    masks = images["mask"].long()
    part = {
        "image": images["image"] / 255,
        "mask": masks,
        "predicted": masks.flip(-1),
        "error": torch.linspace(0, 1, count),
    }
    page = pictures.overlays(part, NAMES, "Some")
    titles = [axes.get_title() for axes in page.axes]
    assert titles[count - 1] == "100.0 % wrong"
    largest = np.bincount(masks[0].flatten(), minlength=11)[1:].argmax() + 1
    assert titles[min(count, 8)].startswith(NAMES[largest])
    (legend,) = page.legends
    shown = {
        text.get_text(): patch.get_facecolor()[:3]
        for text, patch in zip(legend.texts, legend.get_patches(), strict=True)
    }
    assert set(shown) == {NAMES[i] for i in masks.unique().tolist() if i > 0}
    assert len(set(shown.values())) == len(shown), "each class has a colour of its own"
    shades = tinted(np.array([[NAMES.index(name) for name in shown]]))[0]
    np.testing.assert_allclose(shades, list(shown.values()), atol=1e-6)
    page.savefig(tmp_path / "overlays.png")
    iou = torch.linspace(0.2, 1, 11)
    iou[3] = torch.nan
    drawing = pictures.bars(iou, iou, NAMES)
    named = [label.get_text() for label in drawing.axes[0].get_yticklabels()]
    assert named == [name for i, name in enumerate(NAMES) if i != 3]
    drawing.savefig(tmp_path / "bars.png")


# ---- training and bad input ------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("name", "depth"), [("unet", 3), ("plain_unet", 2)])
def test_a_network_learns_where_the_shapes_are(name, depth):
    torch.manual_seed(0)
    images = some_scenes(520, binary=True)
    module = Segment(**PAIR, network=name, encoder="timm:test_resnet", depth=depth, lr=5e-3)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", max_epochs=3, logger=False, **silent)
    trainer.fit(module, TableLoader(images[:416], 16, seed=0, collate=to_batch))
    (found,) = trainer.validate(module, TableLoader(images[416:], 104, collate=to_batch), verbose=False)
    assert found["val/iou"] > 0.75, "0.84 where it was measured; the background alone is 0.43"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.network=unnet"], "no segmentation network 'unnet'; did you mean 'unet'?"),
        (["model.network=fcn"], "model.network: no segmentation network 'fcn'; did you mean 'fpn'?"),
        (["model.encoder=resnet81"], "model.encoder: no encoder 'resnet81'; did you mean 'resnet18'?"),
        (["model.encoder=timm:resnet81"], "model.encoder: timm has no network 'resnet81'; did you mean 'timm:resnet"),
        (["model.encoder=timm:vit_tiny_patch16_224"], "model.network: unet on timm:vit_tiny_patch16_224 cannot take"),
        (["model.loss=[dice, focl]"], "expected 'cross_entropy', 'dice' or 'focal', found 'focl'"),
        (["model.loss=[]"], "model.loss: name at least one"),
        (["model.trainable=some"], "model.trainable: expected"),
        (["data.name=digits"], "this dataset has no masks"),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_one_line(overrides, message):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("segment_scenes"), overrides))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)


def test_a_network_for_colour_refuses_grey():
    with pytest.raises(
        LabError, match="torchvision:fcn_resnet50 cannot take images of 1 x 32 x 32: it takes 3 channels"
    ):
        Segmenter("torchvision:fcn_resnet50", "", 1, 32, 4)


def test_attention_is_added_to_the_decoder_of_a_u_net_alone():
    made = Segmenter("unet", **SMALL, channels=3, size=32, classes=3, attention="scse")
    assert "SCSEModule" in {type(layer).__name__ for layer in made.decoder.modules()}
    with pytest.raises(LabError, match="decoder_attention: fpn has none; unet and unetplusplus have"):
        Segmenter("fpn", "resnet18", 3, 32, 3, attention="scse")


@pytest.mark.parametrize("width", [2.9, 12.0])
def test_a_heading_is_as_wide_as_its_picture(width):
    title = "Test images with the largest share of pixels of a wrong class, in the order of their shares"
    with figure(width=width, height=3.0) as (drawing, _):
        heading(drawing, title)
    drawing.draw_without_rendering()
    box = drawing._suptitle.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawing.bbox.x1
    assert len(drawing.get_suptitle().splitlines()) == (4 if width < 3 else 1)
