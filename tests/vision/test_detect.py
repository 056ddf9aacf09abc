"""The task `detect`: boxes from COCO and VOC files, losses, what is found, and what is refused."""

import json

import pytest
import torch
from PIL import Image

from lab.errors import BadInput, BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.datasets import find_images
from lab.vision.data.real.boxes import read_annotations
from lab.vision.detection.boxes import instance_masks, suppressed, targets
from lab.vision.detection.detect import Detect
from lab.vision.detection.detr import DETR
from lab.vision.detection.grid import GridDetector
from lab.vision.detection.torchvision_detector import NAMES, PREFIX
from lab.vision.plots import detect as draw

FACTS = {"channels": 3, "size": 64, "box_names": ["cat", "dog"], "mean": [0.5] * 3, "std": [0.25] * 3}
MASK_RCNN = f"{PREFIX}maskrcnn_resnet50_fpn"
IDS = {"cat": 7, "dog": 9}  # of COCO's categories
SIZES = [(40, 20), (30, 60)] * 5
BOXES = [[("dog", 4.0, 2.0, 24.0, 12.0), ("cat", 0.0, 0.0, 10.0, 10.0)], []] * 5  # left, top, right, bottom


def coco(folder, change=len):
    """A file as COCO writes it, with its images beside it."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images = [{"id": 100 + i, "file_name": f"{i}.jpg", "width": w, "height": h} for i, (w, h) in enumerate(SIZES)]
    categories = [{"id": number, "name": name} for name, number in IDS.items()]
    content = {"info": {"year": 2026}, "images": images, "categories": categories, "annotations": []}
    for i, (size, boxes) in enumerate(zip(SIZES, BOXES, strict=True)):
        Image.new("RGB", size, (90, 10 * i, 40)).save(folder / "images" / f"{i}.jpg")
        for name, left, top, right, bottom in boxes:
            of = {"id": len(content["annotations"]), "image_id": 100 + i, "category_id": IDS[name], "iscrowd": 0}
            content["annotations"].append({**of, "bbox": [left, top, right - left, bottom - top]})
    change(content)
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def voc(folder, change=lambda text: text):
    """A folder as of Pascal VOC, whose first pixel is 1."""
    for part in ("Annotations", "JPEGImages"):
        (folder / part).mkdir(parents=True)
    for i, (size, boxes) in enumerate(zip(SIZES, BOXES, strict=True)):
        Image.new("RGB", size, (90, 10 * i, 40)).save(folder / "JPEGImages" / f"{i}.jpg")
        objects = "".join(
            f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left + 1:g}</xmin>"
            f"<ymin>{top + 1:g}</ymin><xmax>{right:g}</xmax><ymax>{bottom:g}</ymax></bndbox></object>"
            for name, left, top, right, bottom in boxes
        )
        size = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{i}.jpg</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{i}.xml").write_text(change(text))
    return folder


# ---- files -----------------------------------------------------------------------------------------------------------


def test_images_of_a_voc_folder_without_annotation_are_counted(tmp_path):
    Image.new("RGB", (8, 8)).save(voc(tmp_path / "voc") / "JPEGImages" / "extra.jpg")
    with pytest.warns(UserWarning, match=r"1 files in .*JPEGImages have no annotation and are left out: extra\.jpg$"):
        assert len(read_annotations(tmp_path / "voc").files) == len(SIZES)


def test_coco_and_voc_say_the_same(tmp_path):
    found = [read_annotations(path) for path in (coco(tmp_path / "coco"), voc(tmp_path / "voc"))]
    assert found[0].classes == found[1].classes == ("cat", "dog")
    assert found[0].rows == found[1].rows
    assert found[0].rows[:2] == [[(1, 4, 2, 24, 12), (0, 0, 0, 10, 10)], []]
    table = find_images("boxes", str(tmp_path / "voc")).load("train", size=80)
    assert table["image"].shape == (8, 3, 80, 80)
    boxed = next(row for row in table["boxes"] if not row.isnan().any())
    assert boxed.tolist() == [[1, 8, 8, 48, 48], [0, 0, 0, 20, 40]], "40 x 20 pixels become 80 x 80"


def changed(key, row, **values):
    return lambda content: content[key][row].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("annotations", 0, bbox=[30, 2, 20, 10]), "annotation 0: the box 30, 2, 50, 12 .* of 40 x 20"),
        (changed("annotations", 1, bbox=[3, 2, 0, 10]), "annotation 1: the box 3, 2, 3, 12 .* has no area"),
        (changed("annotations", 1, category_id=1), "annotation 1: there is no category 1; known are 7, 9"),
        (changed("annotations", 1, image_id="101"), "annotation 1: there is no image '101'; known are 100, 101"),
        (changed("annotations", 1, image_id=[101]), "annotation 1: there is no image \\[101\\]"),
        (changed("annotations", 1, bbox=[1, 2]), "annotation 1: bbox: expected .left, top, width, height., found"),
        (changed("annotations", 1, bbox=[1, 2, float("nan"), 4]), "annotation 1: bbox: expected .* found .1, 2, nan"),
        (changed("annotations", 1, bbox=[1, 2, 10**400, 4]), "annotation 1: bbox: expected"),
        (changed("annotations", 1, bbox=["1", "2", "3", "4"]), "annotation 1: bbox: expected"),
        (changed("images", 0, file_name="none.jpg"), "none.jpg is missing, as 1 of 10 images"),
        (changed("images", 0, file_name=None), "image 100: expected a text as file_name, found None"),
        (changed("images", 0, file_name="1.jpg"), "two entries are of the image .*1.jpg"),
        (changed("images", 0, width="wide"), "image 100: width: expected a whole number above 0, found 'wide'"),
        (changed("images", 0, width=40.5), "image 100: width: expected a whole number above 0, found 40.5"),
        (changed("images", 0, id=101), "images: two have the id 101"),
        (changed("categories", 0, id=9), "categories: two have the id 9"),
        (changed("categories", 0, id="9"), "the ids of its categories are numbers and texts"),
        (changed("categories", 0, name="dog"), "two categories are called 'dog'"),
        (changed("categories", 0, name=None), "category 7: expected a text as name, found None"),
        (lambda content: content.pop("categories"), "has no list 'categories'"),
        (lambda content: content["annotations"].clear(), "has no box in 10 images"),
    ],
)  # fmt: skip
def test_a_coco_file_that_cannot_be_used_is_one_line(change, message, tmp_path):
    with pytest.raises(RecipeError, match=message) as error:
        assemble(load(find_recipe("detect_scenes"), ["data.name=boxes", f"data.path={coco(tmp_path, change)}"]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<ymax>12</ymax>", "<ymax>90</ymax>", "0.xml: the box 4, 2, 24, 90 .* outside its image of 40 x 20"),
        ("<xmax>24</xmax>", "", "0.xml: there is no bndbox/xmax in it"),
        ("</annotation>", "", "0.xml: no element found"),
        ("<xmax>24<", "<xmax>nan<", "0.xml: the box 4, 2, nan, 12 .* outside its image"),
        ("<name>dog<", "<name> <", "0.xml: an object has an empty name"),
        ("<filename>0.jpg", "<filename>1.jpg", "two entries are of the image .*1.jpg"),
        ("<difficult>0", "<difficult>1", "has no box in 10 images"),
    ],
)
def test_a_voc_folder_that_cannot_be_used_is_one_line(old, new, message, tmp_path):
    with pytest.raises(BadSetting, match=message) as error:
        find_images("boxes", str(voc(tmp_path, lambda text: text.replace(old, new))))
    assert "\n" not in str(error.value)


def test_a_coco_file_of_nested_lists_only_is_one_line(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(BadSetting, match=r"deep\.json is no COCO file: its lists are nested too deeply"):
        read_annotations(tmp_path / "deep.json")


def test_an_image_of_another_size_and_no_path_are_one_line(tmp_path):
    file = coco(tmp_path, changed("images", 1, width=31))
    with pytest.raises(BadInput, match=r"1\.jpg has 30 x 60 pixels, but its annotation says 31 x 60"):
        find_images("boxes", str(file)).load("train", size=80)
    for path, message in ((None, "name the COCO file"), (str(tmp_path), "is no COCO file")):
        with pytest.raises(BadSetting, match=message):
            find_images("boxes", path)


@pytest.mark.slow
def test_data_without_boxes_and_unknown_networks_are_one_line(tmp_path):
    for settings, message in (
        (["data.name=letters"], "this dataset has no boxes"),
        (["model.network=gird"], "no detector 'gird'; did you mean 'grid'"),
        (["model.network=torchvision:ssd"], "torchvision has no detector 'ssd'"),
        (["model.network_args={min_size: 64}"], "network_args: grid takes none"),
        ([f"model.network={MASK_RCNN}", "data.name=boxes", f"data.path={coco(tmp_path)}"], "learns from masks of"),
        (
            [f"model.network={MASK_RCNN}", "model.network_args={max_sise: 3}"],
            "no number 'max_sise'; did you mean 'max_s",
        ),
        ([f"model.network={MASK_RCNN}", "model.network_args={max_size: 3.5}"], "max_size: expected a whole number abo"),
        ([f"model.network={MASK_RCNN}", "model.network_args={box_nms_thresh: 2}"], "nms_thresh: expected from 0 to 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            assemble(load(find_recipe("detect_scenes"), settings))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, -3, 0, 5, 5], "at -3, 0, 5, 5 lies outside its image"),
        ([2, 0, 0, 5, 5], "a box of class 2 at 0, 0, 5, 5 has no such class"),
        ([1, 5, 0, 5, 5], "has no area"),
    ],
)
def test_boxes_that_cannot_be_end_the_training(box, message):
    with pytest.raises(BadInput, match=message):
        Detect(**FACTS, width=4).targets({"boxes": torch.tensor([[box]]).float()})


# ---- what is learnt and found ----------------------------------------------------------------------------------------


def test_of_boxes_that_say_the_same_one_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [0, 0, 10, 10], [30, 30, 40, 40]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7], [0.3, 0.0]])
    found = suppressed(boxes, scores, 0.1)
    assert found["scores"].tolist() == pytest.approx([0.9, 0.7, 0.3])
    assert found["labels"].tolist() == [0, 1, 0]


def test_the_grid_finds_what_its_cells_say():
    network = GridDetector(3, 64, 2, width=4).eval()
    rows = torch.tensor([[[1, 20.0, 12, 36, 20]], [[torch.nan] * 5]])  # its middle lies in the cell of column 3, row 2
    logits = torch.zeros(2, 7, 8, 8)
    logits[:, 4] = -20
    logits[0, :, 2, 3] = torch.tensor([0.0, 0.0, torch.log(torch.tensor(2.0)), 0.0, 20.0, -20.0, 20.0])
    network.body = network.head = torch.nn.Identity()
    found, nothing = network.detect(logits)
    assert found["boxes"].tolist() == [[20, 16, 36, 24]]
    assert found["labels"].tolist() == [1]
    assert len(nothing["boxes"]) == 0
    losses = network.losses(logits, targets(rows))
    assert losses[0] == pytest.approx(2 * (1 - 1 / 3), abs=1e-4), "half of either box is in the other"
    assert losses[1] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_only_training_changes_a_network_of_torchvision():
    torch.manual_seed(0)
    module = Detect(**FACTS, network=f"{PREFIX}fasterrcnn_mobilenet_v3_large_fpn").eval()
    batch = {"image": torch.rand(1, 3, 64, 64), "boxes": torch.tensor([[[1, 20.0, 12, 36, 20]]])}
    before, random = {key: value.clone() for key, value in module.state_dict().items()}, torch.get_rng_state()
    shown = module.evaluate_batch(batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(part.training for part in module.modules())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert shown["loss"].isfinite().all()
    assert len(NAMES) == 7


def test_queries_are_matched_to_the_boxes_that_they_are_nearest_to():
    network, boxes = (
        DETR(3, 64, 2, width=4),
        torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1]]),
    )
    rows = torch.tensor([[[1, 48.0, 48, 56, 56], [0, 16, 16, 48, 48]], [[torch.nan] * 5] * 2])
    logits = torch.zeros(3, 3)
    logits[0, 0] = logits[1, 2] = logits[2, 1] = 20
    both = boxes.expand(2, -1, -1), logits.expand(2, -1, -1)
    network.outputs = lambda _: [both, both]  # behind two layers
    exact, nothing = network.losses(torch.zeros(2, 3, 64, 64), targets(rows))
    assert exact < 5
    assert nothing == pytest.approx(2 * 2 * 0.2 * 20, rel=1e-3), (
        "two of three queries name an object, behind two layers"
    )


def test_a_mask_is_divided_among_the_boxes_of_a_class():
    mask = torch.zeros(8, 8, dtype=torch.long)
    mask[1:4, 1:4], mask[3:7, 3:7], mask[0, 7] = 1, 2, 1
    boxes = {"boxes": torch.tensor([[1.0, 1, 4, 4], [3, 3, 7, 7]]), "labels": torch.tensor([0, 1])}
    first, second = instance_masks(boxes, mask)
    assert torch.equal(second.bool(), mask == 2)
    assert first.sum() == 8, "one pixel of the square is behind the other one, one lies outside its box"


@pytest.mark.slow
def test_mask_r_cnn_learns_and_finds_masks():
    torch.manual_seed(0)
    few = {
        "rpn_post_nms_top_n_test": 4,
        "box_detections_per_img": 2,
        "box_batch_size_per_image": 4,
        "box_score_thresh": 0.0,
    }
    names = {"mask_names": ["background", "cat", "dog"], "network_args": few}
    module = Detect(**FACTS, **names, network=MASK_RCNN).eval()
    batch = {"image": torch.rand(1, 3, 64, 64), "boxes": torch.tensor([[[1, 20.0, 12, 36, 20]]])}
    batch["mask"] = torch.zeros(1, 64, 64, dtype=torch.long)
    batch["mask"][0, 12:20, 20:36] = 2
    assert module.targets(batch)[0]["masks"].sum() == 8 * 16
    shown = module.evaluate_batch(batch)
    assert shown["loss"].isfinite().all()
    assert shown["mask"].shape == (1, 64, 64)
    assert {"map50", "mask_map50"} <= set(module.compute_metrics("val"))


def test_boxes_are_drawn_where_they_are():
    true = torch.tensor([[[1, 20.0, 12, 36, 20], [torch.nan] * 5]])
    found = torch.tensor([[[0, 1.0, 2, 3, 4, 0.9], [1, 5.0, 5, 9, 9, 0.1]]])
    panel = draw.boxes(torch.zeros(1, 3, 64, 64), true, found, ["cat", "dog"]).axes[0]
    assert [patch.get_xy() for patch in panel.patches] == [(19.5, 11.5), (0.5, 1.5)]
    assert [text.get_text() for text in panel.texts] == ["cat 0.90"]


@pytest.mark.long
def test_shapes_are_found_in_scenes(tracked):
    import lab

    found = lab.run("detect_scenes", f"track.uri=sqlite:///{tracked}/mlflow.db").metrics
    assert found["test/map50"] > 0.85, "a network that finds nothing has 0"
