"""Drawn sets: the same images for the same seed, targets that agree with the pixels, figures that hold."""

import pytest
import torch

from lab.vision.data.generated import faces, letters, scenes
from lab.vision.data.generated.sampling import CHUNK, pixels
from lab.vision.data.generated.shapes import SHAPES

LOADERS = {
    "letters": letters.load,
    "letters_outlined": letters.load_outlined,
    "scenes": scenes.load,
    "scenes16": scenes.load_16,
    "scenes100": scenes.load_100,
    "faces": faces.load,
}


def same(first, second):
    pairs = [(first["image"], second["image"]), *((first[key], second[key]) for key in first.columns if key != "image")]
    return all(torch.equal(one.nan_to_num(-1), other.nan_to_num(-1)) for one, other in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_the_seed_and_the_part_decide_the_images_and_the_count_does_not(name):
    load = LOADERS[name]
    few, more = load(True, 30, 0), load(True, CHUNK + 5, 0)
    assert few["image"].dtype == torch.uint8
    assert (len(few), len(more)) == (30, CHUNK + 5)
    assert same(few, more[:30])
    assert not torch.equal(few["image"], load(False, 30, 0)["image"])
    assert not torch.equal(few["image"], load(True, 30, 1)["image"])
    assert not torch.equal(more["image"][:5], more["image"][CHUNK:])


@pytest.mark.parametrize("name", ["letters", "scenes"])
def test_the_number_of_threads_does_not_matter(name):
    found = []
    for n in (1, 3):
        torch.set_num_threads(n)
        found.append(LOADERS[name](True, CHUNK, 0))
    assert same(*found)


def test_letters_are_balanced_and_look_like_their_class():
    train, test = letters.load(True, 2080, 0), letters.load(False, 520, 0)
    assert train["image"].shape == (2080, 1, 28, 28)
    assert train["label"].bincount().tolist() == [80] * 26
    codes = [images["image"].flatten(1).float() for images in (train, test)]
    nearest = torch.cdist(codes[1], codes[0]).argmin(1)
    accuracy = (train["label"][nearest] == test["label"]).float().mean()
    assert 0.4 < accuracy < 0.9  # far above chance, and still something to learn
    assert (train["image"].amax((1, 2, 3)) > 150).all()


def test_every_font_is_one_that_has_letters():
    maps, of_class = letters.glyphs()
    assert maps.shape == (26 * (2 * len(letters.FONTS) - 1), 64, 64)
    assert sorted(of_class.flatten().tolist()) == list(range(len(maps)))
    assert (maps.amax((1, 2)) > 0.5).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_fill_some_of_the_unit_circle_and_nothing_beyond(shape):
    x, y = (1.5 * line for line in pixels(200))
    inside = SHAPES[shape](x, y) > 0
    assert 0.15 < inside.float().mean() * 9 / torch.pi < 0.95
    assert (torch.hypot(x, y)[inside] < 1.2).all()


@pytest.mark.slow
def test_the_targets_of_scenes_agree_with_each_other():
    found = scenes.load(True, 156, 0)
    mask, boxes, points, label = (found[key] for key in ("mask", "boxes", "points", "label"))
    assert torch.equal(found["pair"] % 10, label)
    for i in range(156):
        drawn = ~boxes[i, :, 0].isnan()
        assert drawn[0]
        for kind, left, top, right, bottom in boxes[i][drawn].int().tolist():
            part = mask[i, top:bottom, left:right] == kind + 1
            assert part.any(0)[[0, -1]].all()  # the box fits tightly
            assert part.any(1)[[0, -1]].all()
        assert boxes[i, 0, 0] == label[i]
        x, y = points[i, 0]
        assert boxes[i, 0, 1] - 8 < x < boxes[i, 0, 3] + 8
        assert boxes[i, 0, 2] - 8 < y < boxes[i, 0, 4] + 8
        assert (
            points[i].isnan().any(1).sum()
            == 3
            - (found["caption"][i] == scenes.WORDS.index("a")).sum()
            - (found["caption"][i] == scenes.WORDS.index("an")).sum()
        )
    assert set(mask.unique().tolist()) == set(range(11))


def test_captions_say_what_is_to_be_seen():
    found = scenes.load(False, 156, 0)
    said = [" ".join(scenes.WORDS[i] for i in words if i) for words in found["caption"].tolist()]
    middles = found["points"]
    relations = set()
    for caption, pair, places in zip(said, found["pair"].tolist(), middles, strict=True):
        article, *rest = caption.split()
        assert " ".join(rest[:2]) == scenes.PAIRS[pair]
        assert article == ("an" if rest[0] == "orange" else "a")
        relations |= {word for word in rest if word in ("above", "below", "beside", "with")}
        if "above" in rest:
            assert places[0, 1] < places[1, 1]
        if "below" in rest:
            assert places[0, 1] > places[1, 1]
    assert relations == {"above", "below", "beside", "with"}


@pytest.mark.long
def test_ten_pairs_are_kept_for_the_test():
    seen = set(scenes.load(True, 1040, 0)["pair"].tolist())
    assert len(seen) == 90
    assert not seen & set(scenes.UNSEEN)
    assert len(set(scenes.UNSEEN) & set(scenes.load(False, 520, 0)["pair"].tolist())) > 7
    every = scenes.load_100(True, 1040, 0)
    assert len(set(every["label"].tolist())) == 100
    assert every["image"].shape == (1040, 3, 32, 32)


def test_the_colour_of_a_scene_is_that_of_its_pair():
    found = scenes.load(True, 156, 0)
    colors = torch.tensor(list(scenes.COLORS.values())) * 255
    for image, mask, pair in zip(found["image"], found["mask"], found["pair"].tolist(), strict=True):
        box_mean = image[:, mask == pair % 10 + 1].float().mean(1)
        if (mask == pair % 10 + 1).sum() > 150:  # else a small one of the same kind may outweigh it
            assert (colors - box_mean).norm(dim=1).argsort()[:3].tolist().count(pair // 10) <= 1
    main = found["points"][:, 0].round().long().clamp(0, 63)
    centre = found["image"][torch.arange(156), :, main[:, 1], main[:, 0]].float()
    filled = torch.tensor([p % 10 in (0, 1, 2, 3, 4, 5, 6, 9) for p in found["pair"].tolist()])
    guessed = torch.cdist(centre, colors).argmin(1)
    assert (guessed == found["pair"] // 10)[filled].float().mean() > 0.95


def test_the_key_points_of_faces_lie_on_what_they_name():
    found = faces.load(True, 104, 0)
    points, images = found["points"], found["image"].squeeze(1).float()
    assert points.shape == (104, 15, 2)
    assert 5 < points.amin() < points.amax() < 91
    place = {name: points[:, i] for i, name in enumerate(faces.POINTS)}
    rows = torch.arange(104)

    def grey(where):
        x, y = where.round().long().unbind(1)
        return images[rows, y, x]

    for side in ("left", "right"):
        centre, outer, inner = (place[f"{side}_eye_{part}"] for part in ("center", "outer_corner", "inner_corner"))
        white = torch.maximum(grey((centre + outer) / 2 * 1.0), grey((centre + inner) / 2))
        assert (grey(centre) < white).float().mean() > 0.95  # the iris is darker than the white beside it
    assert (place["left_eye_center"][:, 0] > place["right_eye_center"][:, 0]).all()  # the person's own left
    assert (place["mouth_center_bottom_lip"][:, 1] > place["mouth_center_top_lip"][:, 1]).all()
