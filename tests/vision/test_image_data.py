"""The data module: parts that share nothing, batches that can be found again, and bad settings in one line each."""

import re
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional as F

from lab.data.splits import train_val_split
from lab.errors import BadInput, BadSetting
from lab.recipe.signature import check, parameters
from lab.runner import record
from lab.vision.data import sets
from lab.vision.data.augment import GEOMETRY, LOOKS
from lab.vision.data.image_data import ImageData
from lab.vision.data.images import Images
from lab.vision.data.loader import Batches
from lab.vision.data.split import balanced


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


def rows(loader):
    """The numbers of the images, which `numbered` has painted into them."""
    return [(batch["image"][:, 0, 0, 0] * 255).round().int().tolist() for batch in loader]


def numbered(n):
    return Images(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), {"label": torch.arange(n) % 3})


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


@pytest.mark.parametrize("name", ["digits", "letters"])
def test_parts_share_nothing_and_have_their_share_of_every_class(name):
    data = ImageData(name, images=1040, val_fraction=0.25)
    data.setup("fit")
    data.setup("test")
    train, val = data.parts["train"], data.parts["val"]
    assert (len(train), len(val)) == (780, 260)
    assert len(torch.cat([train.images, val.images]).flatten(1).unique(dim=0)) == len(train) + len(val)
    shares = [part.targets["label"].bincount() / len(part) for part in (train, val)]
    assert (shares[0] - shares[1]).abs().max() < 0.01
    assert torch.equal(val.images, again(ImageData(name, images=1040, val_fraction=0.25)).parts["val"].images)
    assert not torch.equal(
        val.images, again(ImageData(name, images=1040, val_fraction=0.25, data_seed=1)).parts["val"].images
    )


def again(data):
    data.setup("fit")
    return data


def test_folds_are_each_validated_once():
    images = numbered(25)
    order = balanced(images, 0)
    found = [train_val_split(order, 0.1, fold, 4) for fold in range(4)]
    assert sorted(torch.cat([val for _, val in found]).tolist()) == list(range(25))
    for train, val in found:
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(25))
        assert (images.targets["label"][val].bincount(minlength=3) >= 1).all()
    data = again(ImageData("digits", folds=5, fold=4))
    assert len(data.parts["val"]) == 287


@pytest.mark.parametrize("labels", [10, 100])
def test_few_labels_are_as_many_of_each_class(labels):
    data = again(ImageData("digits", labels=labels, batch_size=64))
    counts = data.parts["train"].targets["label"].bincount()
    assert counts.sum() == labels
    assert counts.amax() - counts.amin() <= labels // 50
    assert len(data.parts["val"]) == 144
    assert [len(batch["image"]) for batch in data.train_dataloader()] == [min(64, labels)]


def test_an_epoch_shows_every_image_once_in_another_order():
    loader = Batches(numbered(60), 16, seed=3)
    first, second = rows(loader), rows(Batches(numbered(60), 16, seed=4))
    assert [len(batch) for batch in first] == [16, 16, 16]
    assert len({row for batch in first for row in batch}) == 48
    assert first == rows(loader)
    assert first != second


def test_no_batch_is_kept_while_the_next_one_is_cut():
    batches = iter(Batches(numbered(60), 16, seed=3))
    image = weakref.ref(next(batches)["image"])
    assert image() is None


def test_processes_share_each_batch_and_no_image():
    for seed in (None, 0):
        parts = [rows(Batches(numbered(51), 8, (rank, 3), seed)) for rank in range(3)]
        assert len({len(part) for part in parts}) == 1  # or one would wait for the others for ever
        seen = [row for part in parts for batch in part for row in batch]
        assert len(seen) == len(set(seen)) == (51 if seed is None else 48)
    together = [rows(Batches(numbered(48), 8, (rank, 2), 0)) for rank in range(2)]
    alone = rows(Batches(numbered(48), 16, seed=0))
    assert [[*a, *b] for a, b in zip(*together, strict=True)] == alone


def test_validation_shows_everything_in_batches_of_nearly_one_size():
    found = rows(Batches(numbered(50), 16))
    assert [row for batch in found for row in batch] == list(range(50))
    assert {len(batch) for batch in found} == {12, 13}


def test_an_interrupted_epoch_goes_on_with_the_next_batch(tmp_path):
    """Changes drawn at random included, and whatever the global generators are by then."""

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
    found = record.tags(SimpleNamespace(recipe=recipe, name="classify", data=ImageData("scenes")))
    assert (found["data.name"], found["data.origin"], found["mine"]) == ("scenes", "generated", "1")


def test_a_recipe_can_say_everything():
    settings = {"name": "digits", "augment": {"flip": 0.5, "rotate": 10}, "folds": 5, "fold": 0, "labels": 10}
    assert check(ImageData, settings) == (settings, [])
    ((key, message),) = check(ImageData, {"augment": {"noise": -1}})[1]
    assert (key, "above 0" in message) == ("augment.noise", True)
    assert all(each.meaning and each.type != "Any" for each in parameters(ImageData))


@pytest.mark.parametrize("name", ["digits", "letters", "scenes", "scenes100", "faces"])
def test_what_a_set_says_of_itself_is_so(name):
    of = sets.find(name)
    found = of.load(sets.Part(True, of.train if name == "digits" else 208, 0, 0))
    assert found.images.shape[1:] == (of.channels, of.size, of.size)
    if name == "digits":
        assert len(found) == of.train
        assert len(found) + of.test == 1797
    pixels = found.images.double() / 255
    assert pixels.mean((0, 2, 3)).tolist() == pytest.approx(of.mean, abs=0.03)
    assert pixels.std((0, 2, 3)).tolist() == pytest.approx(of.std, abs=0.02)


def test_drawn_images_are_kept_and_drawn_again_if_the_file_is_damaged(tmp_path):
    first = again(ImageData("letters", images=52)).parts["train"].images
    (kept,) = (tmp_path / "data" / "cache").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-200])
    assert torch.equal(first, again(ImageData("letters", images=52)).parts["train"].images)
    assert kept.read_bytes() == whole


def test_images_without_places_have_any_size():
    small, large = (again(ImageData("digits", **settings)) for settings in ({}, {"size": 16}))
    assert large.facts()["size"] == 16
    for part, whole in small.parts.items():
        found = large.parts[part]
        assert found.images.shape == (len(whole), 1, 16, 16)
        assert torch.equal(found.targets["label"], whole.targets["label"])
        back = F.avg_pool2d(found.images.float(), 2)
        assert (back - whole.images.float()).abs().mean() < 25, "of 255: the edges are softer"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "leters"}, "name: no set of images 'leters'; did you mean 'letters'?"),
        ({"name": "x"}, "name: no set of images 'x'; known are digits, letters,"),
        ({"name": "scenes", "size": 32}, "size: scenes knows places in images of 64 x 64; leave it out"),
        ({"name": "letters", "path": "here"}, "path: letters has a place of its own"),
        ({"name": "folder"}, "path: name the folder"),
        ({"name": "folder", "path": "nowhere"}, "path: there is no folder nowhere"),
        ({"folds": 3}, "fold: folds says how many parts there are"),
        ({"folds": 3, "fold": 3}, "fold: expected 0 to 2, found 3"),
        ({"name": "faces", "labels": 10}, "labels: faces has none"),
        ({"augment": {"nois": 0.1}}, "augment: no change 'nois'; did you mean 'noise'?"),
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
        ({"images": 1040, "labels": 1500}, "labels: letters has 936 images for training, found 1500"),
        ({"name": "digits", "images": 9999}, "images: digits has 1438 to learn from, found 9999"),
        ({"images": 2, "val_fraction": 0.9}, "images: 2 images leave none for training"),
    ],
)
def test_too_few_images_are_one_line(settings, message):
    with pytest.raises(BadInput) as error:
        again(ImageData(**{"name": "letters", **settings}))
    assert str(error.value) == message


def test_every_set_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert re.findall(r"(?m)^\| `(\w+)` \| [^|]* \| [^|]* \| [^|]* \|$", page) == list(sets.known_sets())
    changes = page[page.index("| change |") :]
    assert {*GEOMETRY, *LOOKS} == set(re.findall(r"`(\w+)`", changes[: changes.index("\n\n")]))
