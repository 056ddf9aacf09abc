"""The task `keypoints`: both ways, points that nobody has marked, errors, pictures, and what it refuses."""

import pytest
import torch
from lightning import Trainer
from torch.nn import functional as F

from lab.data import Table, TableLoader
from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.augment import augment
from lab.vision.data.generated import faces, scenes
from lab.vision.data.images import to_batch
from lab.vision.keypoints import Errors, Keypoints, across, divergence, known, middles
from lab.vision.plots import keypoints as pictures

NAN = float("nan")
FACTS = {"channels": 1, "size": 96, "point_names": list(faces.POINTS), "mean": [0.5], "std": [0.2]}
SMALL = {"method": "heatmaps", "network": "generic", "encoder": "timm:lcnet_050", "depth": 3}
SILENT = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}


@pytest.fixture(scope="module")
def some_faces():
    """52 faces, of which the first has one known point, and the second none."""
    found = faces.load(True, 52, 0)
    points = found["points"].clone()
    points[0, 1:], points[1] = NAN, NAN
    return Table({"image": found["image"], "points": points})


# ---- heat maps -------------------------------------------------------------------------------------------------------


def test_a_heat_map_says_where_it_is_to_a_fraction_of_a_pixel():
    """The mean of a Gaussian is its middle, as long as it lies within the image."""
    points = torch.tensor([[[20.3, 11.8], [40.0, 30.5]]])
    y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    maps = torch.stack([-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 1.5**2 for px, py in points[0]]).unsqueeze(0)
    torch.testing.assert_close(middles(maps + 3), points, atol=1e-4, rtol=0)
    assert float(divergence(maps, points, 1.5)) == pytest.approx(0, abs=1e-5)


def test_the_divergence_is_that_of_torch():
    torch.manual_seed(0)
    maps, points = torch.randn(3, 2, 7, 9), torch.rand(3, 2, 2) * 7
    points[1, 0], points[2, 1] = NAN, torch.tensor([NAN, 3.0])
    y, x = torch.meshgrid(torch.arange(7) + 0.5, torch.arange(9) + 0.5, indexing="ij")
    each = []
    for b, p in known(points).nonzero().tolist():
        target = (-((x - points[b, p, 0]) ** 2 + (y - points[b, p, 1]) ** 2) / (2 * 0.8**2)).exp()
        heat = maps[b, p].flatten().log_softmax(0)
        each.append(F.kl_div(heat, (target / target.sum()).flatten(), reduction="sum"))
    assert len(each) == 4
    torch.testing.assert_close(divergence(maps, points, 0.8), torch.stack(each).mean())


def test_bfloat16_does_not_round_the_places():
    torch.manual_seed(0)
    maps, points = torch.randn(2, 3, 96, 96), torch.rand(2, 3, 2) * 96
    with torch.autocast("cpu", torch.bfloat16):
        found, apart = middles(maps), divergence(maps, points, 1.5)
    assert found.dtype == apart.dtype == torch.float32
    torch.testing.assert_close(found, middles(maps))
    torch.testing.assert_close(apart, divergence(maps, points, 1.5))


# ---- unknown points --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"network": "lenet"}, SMALL])
def test_unknown_points_have_no_part_in_the_loss(settings, some_faces):
    torch.manual_seed(0)
    module = Keypoints(**FACTS, **settings)
    module.train()
    batch = next(iter(TableLoader(some_faces, 8, collate=to_batch)))
    found, points = torch.rand(8, 15, 2) * 96, batch["points"]
    by_hand = (found - points)[known(points)].abs().sum(1).mean() / 48
    torch.testing.assert_close(module.loss(found, points), by_hand)
    loss, _ = module.training_loss(batch, 0.0)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())
    nothing = batch | {"points": torch.full_like(points, NAN)}
    module.zero_grad()
    loss, _ = module.training_loss(nothing, 0.0)
    loss.backward()
    assert loss == 0
    assert not any(p.grad.any() for p in module.parameters() if p.grad is not None)


@pytest.mark.slow
def test_what_training_calls_is_compiled(some_faces):
    module, graphs, batch = (
        Keypoints(**FACTS, network="lenet"),
        [],
        next(iter(TableLoader(some_faces, 8, collate=to_batch))),
    )
    loss, _ = module.training_loss(batch, 0.0)
    module.compile(backend=lambda graph, _: graphs.append(graph) or graph.forward)
    compiled, _ = module.training_loss(batch, 0.0)
    assert graphs
    torch.testing.assert_close(compiled, loss)


def test_errors_are_means_over_the_known_points_of_all_batches():
    points = torch.tensor([[[10.0, 10.0], [20.0, 10.0], [15.0, 18.0]], [[10.0, 10.0], [NAN, NAN], [12.0, 18.0]]])
    found = points.nan_to_num(7) + torch.tensor(
        [[[0.3, 0.4], [0.0, 1.0], [0.0, 0.0]], [[0.0, 0.1], [9.0, 9.0], [0.0, 0.2]]]
    )
    assert across(points).tolist() == [10.0, 2.0]
    errors = Errors(3)
    for i in range(2):
        errors.update(found[[i]], points[[i]], across(points[[i]]))
    scores = errors.compute()
    assert float(scores["nme"]) == pytest.approx((0.05 + 0.1 + 0 + 0.05 + 0.1) / 5, rel=1e-4)
    assert float(scores["pixels"]) == pytest.approx((0.5 + 1 + 0 + 0.1 + 0.2) / 5, rel=1e-4)
    assert scores["each"].tolist() == pytest.approx([0.05, 0.1, 0.05], rel=1e-4)
    lonely = points[[0]].clone()
    lonely[:, 1:] = NAN
    assert across(lonely).isnan().all()
    errors.reset()
    errors.update(found[[0]], lonely, across(lonely))
    assert errors.seen.tolist() == [0, 0, 0]
    assert across(torch.full((1, 3, 2), NAN)).isnan().all()


@pytest.mark.parametrize("width", ["image", "points"])
def test_the_test_measures_every_known_point_and_keeps_the_worst(width, some_faces, monkeypatch):
    torch.manual_seed(0)
    drawn = {}
    monkeypatch.setattr("lab.plots.log_figure", lambda _, name, figure: drawn.update({name: figure}))
    monkeypatch.setattr(pictures, "overlays", lambda part, *_: part)
    monkeypatch.setattr(pictures, "bars", lambda *scores: scores)
    module = Keypoints(**FACTS, network="lenet", normalize_by=width)
    (scores,) = Trainer(accelerator="cpu", **SILENT).test(
        module, TableLoader(some_faces, 20, collate=to_batch), verbose=False
    )
    points = some_faces["points"]
    with torch.inference_mode():
        found = module.eval()(some_faces["image"].float() / 255)
    distances = (found - points).norm(dim=-1)
    assert scores["test/pixels"] == pytest.approx(float(distances[2 if width == "points" else 0 :].nanmean()), rel=1e-4)
    x = points[..., 0]
    widths = torch.full((52,), 96.0) if width == "image" else x.nan_to_num(-99).amax(1) - x.nan_to_num(999).amin(1)
    shares = distances / widths.unsqueeze(1)
    shares = shares if width == "image" else shares[2:]
    assert scores["test/nme"] == pytest.approx(float(shares.nanmean()), rel=1e-4)
    assert scores["test/nme_nose_tip"] == pytest.approx(float(shares[:, 10].nanmean()), rel=1e-4)
    assert scores["test/pck"] == pytest.approx(float((shares[~shares.isnan()] <= 0.05).float().mean()), rel=1e-4)
    worst = drawn["worst.png"]["error"]
    torch.testing.assert_close(worst, shares.nanmean(1).nan_to_num(0).topk(pictures.PLACES).values)


def test_a_mirrored_face_is_read_the_same(some_faces):
    """Whoever reads pixels can tell: the darkest place of each eye stays with the point that has its name."""
    batch = {"image": some_faces["image"][2:10].float() / 255, "points": some_faces["points"][2:10]}
    mirrored = augment(batch, {"flip": 1.0}, torch.Generator().manual_seed(0), faces.POINTS)
    left, right = faces.POINTS.index("left_eye_center"), faces.POINTS.index("right_eye_center")
    for found in (batch, mirrored):
        assert (found["points"][:, left, 0] > found["points"][:, right, 0]).all()  # the person's own left
    for one, other in ((left, right), (right, left)):
        x, y = batch["points"][:, one].long().T
        moved_x, moved_y = (mirrored["points"][:, other] - 1e-3).long().T
        rows = torch.arange(8)
        torch.testing.assert_close(mirrored["image"][rows, 0, moved_y, moved_x], batch["image"][rows, 0, y, x])


# ---- pictures and training -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 12])
def test_pictures_can_be_drawn(count, some_faces, tmp_path):
    points = some_faces["points"][:count]
    part = {
        "image": some_faces["image"][:count] / 255,
        "points": points,
        "predicted": points.nan_to_num(30) + 2,
        "error": torch.linspace(0, 0.1, count),
    }
    page = pictures.overlays(part, "points", "Some")
    assert page.axes[count - 1].get_title() == "10.0 % of the points' width"
    assert len(page.axes[0].lines[-1].get_xdata()) == 1, "what was found for an unknown point is not drawn"
    page.savefig(tmp_path / "overlays.png")
    errors = torch.linspace(0.01, 0.1, 15)
    errors[3] = NAN
    drawing = pictures.bars(errors, list(faces.POINTS), "image")
    named = [label.get_text() for label in drawing.axes[0].get_yticklabels()]
    assert named[0] == "mouth center bottom lip"
    assert len(named) == 14
    drawing.savefig(tmp_path / "bars.png")


@pytest.mark.long
def test_heat_maps_find_the_main_shape():
    """From 416 scenes, some of which have no second and third shape; the middle of the image is 7 pixels off."""
    torch.manual_seed(0)
    whole = scenes.load_100(True, 520, 0)
    images = Table({"image": whole["image"], "points": whole["points"]})
    assert images["points"].isnan().any()
    facts = FACTS | {"channels": 3, "size": 32, "point_names": list(scenes.POINTS), "mean": [0.5] * 3, "std": [0.2] * 3}
    module = Keypoints(**facts, method="heatmaps", network="unet", encoder="timm:test_resnet", depth=3, lr=5e-3)
    trainer = Trainer(accelerator="cpu", max_epochs=3, enable_checkpointing=False, **SILENT)
    trainer.fit(module, TableLoader(images[:416], 16, seed=0, collate=to_batch))
    batch = next(iter(TableLoader(images[416:], 104, collate=to_batch)))
    with torch.inference_mode():
        found = module.eval()(batch["image"])
    assert float((found[:, 0] - batch["points"][:, 0]).norm(dim=-1).mean()) < 4, "1.2 where it was measured"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.method=coordinates", "model.network=unet"], "model.network: no network 'unet'"),
        (["model.method=heatmaps", "model.network=lenet"], "model.network: no segmentation network 'lenet'"),
        (["model.method=maps"], "model.method: expected 'coordinates' or 'heatmaps', found 'maps'"),
        (["model.normalize_by=face"], "model.normalize_by: expected 'image' or 'points', found 'face'"),
        (["data.name=digits"], "this dataset has no key points"),
    ],
)
def test_a_bad_recipe_is_one_line(overrides, message):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("keypoints_faces"), overrides))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)
