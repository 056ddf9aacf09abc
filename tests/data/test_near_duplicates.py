"""Names of classes that are probably one, written in two ways, are said wherever names come from files."""

import json
import warnings

import pytest
from PIL import Image

from lab.data import warn_near_duplicates
from lab.multimodal.clips.video import find_videos
from lab.tabular.data.feature_data import LabeledFeatureData
from lab.text.data.datasets import find_texts
from lab.text.tagging.tagged_dataset import find_tagged
from lab.vision.data.real.boxes import read_annotations
from lab.vision.data.real.class_names import class_names

VOC = (
    "<annotation><filename>a.png</filename><size><width>9</width><height>9</height></size>{}</annotation>",
    "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>",
)


@pytest.mark.parametrize("names", [["Pos", "neg", "pos"], ["ice cream", "icecream"], ["STRASSE", "straße"]])
def test_names_alike(names):
    with pytest.warns(UserWarning, match=rf"f.csv has '{names[0]}' and '{names[-1]}', which count as two; write"):
        warn_near_duplicates(names, "f.csv")


def test_letters_and_other_names_are_fine():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_near_duplicates(["a", "A", "pos", "neg", "pos", "post"], "f.csv")


def texts(folder):
    rows = [f"text {i},{('Cat', 'cat')[i % 2]}" for i in range(20)]
    (folder / "t.csv").write_text("\n".join(["text,label", *rows]))
    find_texts("texts", str(folder / "t.csv"))


def tags(folder):
    (folder / "t.txt").write_text("a Cat\nb cat\n\n" * 8)
    find_tagged("conll", str(folder / "t.txt"), None)


def labels(folder):
    rows = [f"{i},{('Cat', 'cat')[i % 2]}" for i in range(20)]
    (folder / "t.csv").write_text("\n".join(["x,y", *rows]))
    LabeledFeatureData(path=str(folder / "t.csv"), target="y")


def categories(folder):
    rows = [f"{('Cat', 'cat')[i % 2]},{i},{'ab'[i // 2 % 2]}" for i in range(20)]
    (folder / "t.csv").write_text("\n".join(["x,z,y", *rows]))
    LabeledFeatureData(path=str(folder / "t.csv"), target="y")


def coco(folder):
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    images = [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}]
    kinds = [{"id": 1, "name": "Cat"}, {"id": 2, "name": "cat"}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}]
    (folder / "c.json").write_text(json.dumps({"images": images, "categories": kinds, "annotations": boxes}))
    read_annotations(folder / "c.json")


def voc(folder):
    for name in ("Annotations", "JPEGImages"):
        (folder / name).mkdir()
    Image.new("RGB", (9, 9)).save(folder / "JPEGImages" / "a.png")
    (folder / "Annotations" / "a.xml").write_text(VOC[0].format(VOC[1].format("Cat") + VOC[1].format("cat")))
    read_annotations(folder)


def masks(folder):
    (folder / "classes.txt").write_text("Cat\ncat\n")
    class_names(folder)


def videos(folder):
    for name in ("Cat", "cat"):
        (folder / name).mkdir()
        for i in range(5):
            (folder / name / f"{i}.mp4").write_bytes(b"")
    find_videos(folder)


@pytest.mark.parametrize("read", [texts, tags, labels, categories, coco, voc, masks, videos])
def test_every_reader_says_so(read, tmp_path):
    with pytest.warns(UserWarning, match="has 'Cat' and 'cat', which count as two"):
        read(tmp_path)
