"""Changes of whole batches: each image by itself, targets along with it, and the amounts that were asked for."""

import pytest
import torch
from torchvision.transforms import v2

from lab.errors import BadSetting
from lab.vision.data.augment import augment, check, disturbed
from lab.vision.data.generated import faces, scenes
from lab.vision.data.images import to_batch

GREY = torch.full((400, 1, 20, 20), 0.5)


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(images, n=32):
    return to_batch(images)


@pytest.fixture(scope="module")
def some_faces():
    return batch(faces.load(True, 32, 0))


def test_each_image_is_changed_by_itself_where_torchvision_draws_once():
    ramp = torch.linspace(0, 1, 8).expand(64, 1, 8, 8)
    ours = augment({"image": ramp}, {"flip": 0.5}, random())["image"]
    assert 0 < sum(torch.equal(image, ramp[0]) for image in ours) < 64
    theirs = v2.RandomHorizontalFlip()(ramp)
    assert sum(torch.equal(image, ramp[0]) for image in theirs) in (0, 64)


def test_a_box_that_leaves_the_image_is_no_box():
    rows = torch.tensor([[[1.0, 0, 0, 2, 2], [0, 8, 8, 12, 12]]]).expand(64, -1, -1)
    found = augment({"image": torch.zeros(64, 1, 20, 20), "boxes": rows}, {"shift": 0.3}, random())["boxes"]
    gone = found[:, 0].isnan().any(1)
    assert 5 < gone.sum() < 60
    assert found[gone, 0].isnan().all()
    assert (found[..., 3:] > found[..., 1:3])[~found.isnan().any(2)].all()
    assert not found[:, 1].isnan().any()


@pytest.mark.parametrize("settings", [{"flip": 0.5}, {"rotate": 20.0, "noise": 0.1}, {"shift": 0.1, "occlude": 0.3}])
def test_the_generator_decides(settings, some_faces):
    first, again, other = (augment(some_faces, settings, random(seed), faces.POINTS) for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["image"], other["image"])


def test_noise_has_its_standard_deviation():
    assert disturbed(GREY, {"noise": 0.1}, random()).std().item() == pytest.approx(0.1, rel=0.02)


def test_salt_and_pepper_have_their_density_and_spare_the_rest():
    found = disturbed(GREY.expand(-1, 3, -1, -1), {"salt_and_pepper": 0.2}, random())
    assert (found == 1).float().mean().item() == pytest.approx(0.1, rel=0.05)
    assert (found == 0).float().mean().item() == pytest.approx(0.1, rel=0.05)
    assert set(found.unique().tolist()) == {0.0, 0.5, 1.0}
    assert torch.equal(found[:, 0], found[:, 1])  # a pixel, not one of its colours


def test_occlusion_hides_one_rectangle_of_its_size():
    found = disturbed(GREY, {"occlude": 0.4}, random()) == 0
    assert (found.flatten(1).sum(1) == 64).all()
    assert len({tuple(image.flatten().nonzero()[0].tolist()) for image in found}) > 50


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_looks_stay_in_range_and_differ_by_image(name):
    images = torch.rand(50, 3, 8, 8, generator=random())
    found = disturbed(images, {name: 0.5}, random())
    assert found.amin() >= 0
    assert found.amax() <= 1
    assert ((found - images).abs().flatten(1).amax(1) > 0.01).float().mean() > 0.9


def test_a_mirrored_face_has_its_left_on_the_other_side(some_faces):
    start = some_faces
    found = augment(start, {"flip": 1.0}, random(), faces.POINTS)
    assert torch.equal(found["image"], start["image"].flip(-1))
    left, right = faces.POINTS.index("left_eye_center"), faces.POINTS.index("right_eye_center")
    expected = torch.stack([96 - start["points"][:, right, 0], start["points"][:, right, 1]], 1)
    assert torch.allclose(found["points"][:, left], expected, atol=1e-4)


@pytest.mark.parametrize(
    "settings", [{"flip": 1.0}, {"rotate": 30.0, "zoom": 0.3, "shear": 0.2, "shift": 0.1, "flip": 0.5}]
)
def test_masks_points_and_boxes_move_with_the_image(settings):
    """The main shape is painted into an image of its own, which is moved, and looked for."""
    start = batch(scenes.load(True, 64, 0), 64)
    main = start["mask"] == (start["label"] + 1).view(-1, 1, 1)
    start["image"] = main.float().unsqueeze(1).expand(-1, 3, -1, -1)
    found = augment(start, settings, random(), scenes.POINTS)
    moved = found["mask"] == (start["label"] + 1).view(-1, 1, 1)
    union = (moved | (found["image"][:, 0] > 0.5)).flatten(1).sum(1)
    both = (moved & (found["image"][:, 0] > 0.5)).flatten(1).sum(1)
    assert (both / union.clamp(min=1)).mean() > 0.95
    x, y = found["points"][:, 0].unbind(1)
    inside = ((x > 2) & (x < 62) & (y > 2) & (y < 62)).nonzero().squeeze(1).tolist()
    solid = [i for i in inside if scenes.CLASSES[start["label"][i]] not in ("ring", "crescent")]
    assert all(moved[i, int(y[i]), int(x[i])] for i in solid)
    for i in range(64):
        _, left, top, right, bottom = found["boxes"][i, 0].tolist()
        rows, columns = moved[i].nonzero().unbind(1)
        alone = not (start["boxes"][i, 1:, 0] == start["label"][i]).any()
        edges = torch.stack([start["boxes"][i, 0, 1:], found["boxes"][i, 0, 1:]])
        if alone and edges.amin() > 1 and edges.amax() < 63:  # what lies beyond the edge is made of the edge
            assert left - 1.5 <= columns.min() <= columns.max() <= right + 0.5
            assert top - 1.5 <= rows.min() <= rows.max() <= bottom + 0.5


def test_nothing_asked_for_is_nothing_done():
    start = batch(scenes.load(True, 4, 0), 4)
    found = augment(start, {}, random())
    assert all(found[key] is start[key] for key in start)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flp": 0.5}, "no augmentation 'flp'; did you mean 'flip'?"),
        ({"explode": 1.0}, "no augmentation 'explode'; known are flip,"),
        ({"salt_and_pepper": 5.0}, "salt_and_pepper is a fraction, at most 1; found 5.0"),
    ],
)
def test_a_wrong_change_is_one_line(settings, message):
    with pytest.raises(BadSetting, match=r"^augment: ") as error:
        check(settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
