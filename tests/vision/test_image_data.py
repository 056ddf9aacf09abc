"""The data module: parts that share nothing, batches that can be found again, and bad settings in one line each."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional as F

from lab.data import Table
from lab.errors import BadInput, BadSetting
from lab.recipe.signature import check, parameters
from lab.registry import find_task
from lab.runner import record
from lab.vision.data.augment import GEOMETRY, LOOKS
from lab.vision.data.datasets import find_images, image_datasets
from lab.vision.data.image_data import ImageData
from lab.vision.data.images import to_batch


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


class Recorder(LightningModule):
    """Adds up what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch):
        self.seen.append(batch["image"].double().sum().item())
        return self.weight * batch["image"].mean()

    def validation_step(self, batch):
        self.log("val/mean", batch["image"].mean(), batch_size=len(batch["image"]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder, **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return Trainer(accelerator="cpu", devices=1, max_epochs=2, default_root_dir=folder, **quiet, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "letters"])
def test_parts_share_nothing_and_have_their_share_of_every_class(name):
    data = ImageData(name, max_images=1040, val_fraction=0.25)
    data.setup("fit")
    data.setup("test")
    train, val = data.tables["train"], data.tables["val"]
    assert (len(train), len(val)) == (780, 260)
    assert len(torch.cat([train["image"], val["image"]]).flatten(1).unique(dim=0)) == len(train) + len(val)
    shares = [part["label"].bincount() / len(part) for part in (train, val)]
    assert (shares[0] - shares[1]).abs().max() < 0.01
    assert torch.equal(val["image"], again(ImageData(name, max_images=1040, val_fraction=0.25)).tables["val"]["image"])
    assert not torch.equal(
        val["image"], again(ImageData(name, max_images=1040, val_fraction=0.25, data_seed=1)).tables["val"]["image"]
    )


def again(data):
    data.setup("fit")
    return data


def test_a_fold_validates_with_its_share_of_every_class():
    data = again(ImageData("digits", folds=5, fold=4))
    assert len(data.tables["val"]) == 287
    assert (data.tables["val"]["label"].bincount() - 28.7).abs().max() < 2.5


@pytest.mark.parametrize("labels", [10, 100])
def test_few_labels_are_as_many_of_each_class(labels):
    data = again(ImageData("digits", num_labeled=labels, batch_size=64))
    counts = data.tables["train"]["label"].bincount()
    assert counts.sum() == labels
    assert counts.amax() - counts.amin() <= labels // 50
    assert len(data.tables["val"]) == 144
    assert [len(batch["image"]) for batch in data.train_dataloader()] == [min(64, labels)]


def test_a_batch_is_floats_from_0_to_1_and_masks_that_a_loss_takes():
    images = Table(
        {"image": torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), "mask": torch.ones(3, 1, 1).byte()}
    )
    batch = to_batch(images)
    torch.testing.assert_close(batch["image"].flatten(), torch.tensor([0, 0.2, 1]))
    assert batch["mask"].dtype == torch.int64
    assert images["image"].flatten().tolist() == [0, 51, 255]


@pytest.mark.slow
def test_an_interrupted_epoch_goes_on_with_the_next_batch(tmp_path):
    """Random changes included, and whatever the global generators are by then."""

    def data():
        torch.manual_seed(5)
        return ImageData("digits", batch_size=130, augment={"rotate": 10.0, "noise": 0.2})

    whole, every = Recorder(), ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer(tmp_path, callbacks=[every]).fit(whole, data())
    assert len(set(whole.seen)) == 18
    for stop in (2, 8, 9, 11):
        rest, images = Recorder(), data()
        torch.rand(7)
        trainer(tmp_path).fit(rest, images, ckpt_path=tmp_path / f"step={stop}.ckpt")
        assert rest.seen == whole.seen[stop:]


def test_the_run_s_seed_shuffles_and_data_seed_does_not():
    seen = []
    for seed, data_seed in ((0, 0), (0, 0), (1, 0)):
        torch.manual_seed(seed)
        data = again(ImageData("digits", data_seed=data_seed))
        seen.append([batch["image"].sum().item() for batch in data.train_dataloader()])
    assert seen[0] == seen[1] != seen[2]


def test_facts_are_known_before_there_is_an_image():
    facts = ImageData("scenes").facts()
    assert (facts["channels"], facts["size"], facts["classes"], facts["mask_classes"]) == (3, 64, 10, 11)
    assert facts["words"][:2] == ["", "a"]
    assert ImageData("pet", size=96).facts()["size"] == 96
    assert len(ImageData("cifar100").facts()["class_names"]) == 100
    assert ImageData("faces").facts()["points"] == 15
    assert ImageData("mnist").tags() == {"data.name": "mnist", "data.origin": "real"}
    assert ImageData("letters").origin == "generated"


def test_the_record_of_a_run_says_where_the_images_are_from():
    recipe = SimpleNamespace(seed=0, name="r", path="r.yaml", track=SimpleNamespace(tags={"mine": "1"}))
    task = find_task("classify")
    found = record.tags(SimpleNamespace(recipe=recipe, name="classify", task=task, data=ImageData("scenes")))
    assert (found["data.name"], found["data.origin"], found["mine"]) == ("scenes", "generated", "1")


def test_a_recipe_can_say_everything():
    settings = {"name": "digits", "augment": {"flip": 0.5, "rotate": 10}, "folds": 5, "fold": 0, "num_labeled": 10}
    assert check(ImageData, settings) == (settings, [])
    ((key, message),) = check(ImageData, {"augment": {"noise": -1}})[1]
    assert (key, "above 0" in message) == ("augment.noise", True)
    assert all(each.meaning and each.type != "Any" for each in parameters(ImageData))


@pytest.mark.parametrize("name", ["digits", "letters", "letters_outlined", "scenes", "scenes16", "scenes100", "faces"])
def test_what_a_set_says_of_itself_is_so(name):
    of = find_images(name)
    found = of.load("train", None if name == "digits" else 208)
    assert found["image"].shape[1:] == (of.channels, of.size, of.size)
    if name == "digits":
        assert len(found) == of.train_rows
        assert len(found) + of.test_rows == 1797
    pixels = found["image"].double() / 255
    assert pixels.mean((0, 2, 3)).tolist() == pytest.approx(of.mean, abs=0.03)
    assert pixels.std((0, 2, 3)).tolist() == pytest.approx(of.std, abs=0.02)


def test_generated_images_are_cached_and_made_again_if_the_file_is_damaged(tmp_path):
    first = again(ImageData("letters", max_images=52)).tables["train"]["image"]
    (kept,) = (tmp_path / "data" / "cache").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-200])
    assert torch.equal(first, again(ImageData("letters", max_images=52)).tables["train"]["image"])
    assert kept.read_bytes() == whole


def test_images_without_places_have_any_size():
    small, large = (again(ImageData("digits", **settings)) for settings in ({}, {"size": 16}))
    assert large.facts()["size"] == 16
    for part, whole in small.tables.items():
        found = large.tables[part]
        assert found["image"].shape == (len(whole), 1, 16, 16)
        assert torch.equal(found["label"], whole["label"])
        back = F.avg_pool2d(found["image"].float(), 2)
        assert (back - whole["image"].float()).abs().mean() < 25, "of 255: the edges are softer"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "leters"}, "name: no data set 'leters'; did you mean 'letters'?"),
        ({"name": "x"}, "name: no data set 'x'; known are digits, letters,"),
        ({"name": "scenes", "size": 32}, "size: scenes has positional targets for images of 64 x 64; leave it out"),
        ({"name": "letters", "path": "here"}, "path: letters has a fixed location"),
        ({"name": "folder"}, "path: name the folder"),
        ({"name": "folder", "path": "nowhere"}, "path: there is no folder nowhere"),
        ({"folds": 3}, "fold: give both folds (how many) and fold"),
        ({"folds": 3, "fold": 3}, "fold: expected 0 to 2, found 3"),
        ({"name": "faces", "num_labeled": 10}, "num_labeled: faces has no labels"),
        ({"augment": {"nois": 0.1}}, "augment: no augmentation 'nois'; did you mean 'noise'?"),
    ],
)
def test_a_bad_setting_is_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        ImageData(**settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_images": 1040, "num_labeled": 1500}, "num_labeled: letters has 936 images for training, found 1500"),
        ({"name": "digits", "max_images": 9999}, "max_images: digits has 1438 to learn from, found 9999"),
        ({"max_images": 2, "val_fraction": 0.9}, "val_fraction: 2 of 2 rows leave none to train on"),
    ],
)
def test_too_few_images_are_one_line(settings, message):
    with pytest.raises(BadInput) as error:
        again(ImageData(**{"name": "letters", **settings}))
    assert str(error.value) == message


def test_every_set_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert re.findall(r"(?m)^\| `(\w+)` \| [^|]* \| [^|]* \| [^|]* \|$", page) == [
        each.name for each in image_datasets()
    ]
    changes = page[page.index("| augmentation |") :]
    assert {*GEOMETRY, *LOOKS} == set(re.findall(r"`(\w+)`", changes[: changes.index("\n\n")]))
