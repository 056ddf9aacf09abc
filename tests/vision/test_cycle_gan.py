"""The task `cycle_gan`: letters in two styles, the pool, the game's losses by hand, what it learns, and refusals."""

from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from lab.errors import BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner import training
from lab.runner.assemble import assemble
from lab.testing.memory import MemoryLogger
from lab.vision.data.generated import letters
from lab.vision.gan.cycle import plots
from lab.vision.gan.cycle.cycle_gan import WAYS, CycleGAN
from lab.vision.gan.cycle.image_pool import ImagePool
from lab.vision.gan.cycle.style_data import StyleData

SILENT = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}


def made(**settings):
    torch.manual_seed(0)
    return CycleGAN(**({"channels": 1, "size": 28, "width": 4, "depth": 1} | settings))


def batch(count=6):
    columns = {name: load(True, count, 0) for name, load in STYLES.items()}
    images = {name: table["image"].float() / 255 for name, table in columns.items()}
    return images | {"label": columns["source"]["label"]}


STYLES = {"source": letters.load, "target": letters.load_outlined}


# ---- data ------------------------------------------------------------------------------------------------------------


def test_an_outline_surrounds_its_letter():
    of = batch(52)
    assert torch.equal(letters.load(True, 52, 0)["label"], letters.load_outlined(True, 52, 0)["label"])
    inside = of["source"] > 0.8
    deep = -nn.functional.max_pool2d(-inside.float(), 3, 1, 1) > 0
    assert of["target"][deep].mean() < 0.1, "hollow"
    beside = (nn.functional.max_pool2d(inside.float(), 3, 1, 1) > 0) & ~inside
    assert of["target"][beside].mean() > 0.4
    assert of["target"][nn.functional.max_pool2d(of["source"], 7, 1, 3) == 0].max() == 0


def test_no_letter_is_trained_with_in_both_styles():
    data = StyleData(max_images=104, batch_size=8)
    data.setup("fit")
    train, val = data.tables["train"], data.tables["val"]
    everything = data.source.train_val_table()["image"]
    where = {name: places(train[name], style.train_val_table()["image"]) for name, style in styles(data).items()}
    assert len(train) == 47
    assert not where["source"] & where["target"]
    assert places(val["source"], everything) == places(val["target"], data.target.train_val_table()["image"])
    assert set(next(iter(data.train_dataloader()))) == {"source", "target"}
    first = next(iter(data.val_dataloader()))
    assert 0.9 < float(first["source"].max()) <= 1


def styles(data):
    return {"source": data.source, "target": data.target}


def places(images, among):
    """Which rows of a set some images are."""
    same = (images.unsqueeze(1) == among.unsqueeze(0)).flatten(2).all(2)
    assert bool((same.sum(1) == 1).all())
    return set(same.int().argmax(1).tolist())


# ---- training --------------------------------------------------------------------------------------------------------


def test_a_pool_gives_back_older_images_half_of_the_time():
    torch.manual_seed(0)
    pool, given = ImagePool(50, (1, 1, 1)), torch.arange(1.0, 1001.0).view(100, 10, 1, 1, 1)
    found = torch.stack([pool(each) for each in given])
    assert torch.equal(found[:5], given[:5]), "it fills up first"
    older = found[5:] != given[5:]
    assert older.float().mean() == pytest.approx(0.5, abs=0.05)
    assert bool((found[5:][older] < given[5:][older]).all())
    assert torch.equal(ImagePool(0, (1, 1, 1))(given[0]), given[0])


def test_the_losses_are_those_of_the_paper(monkeypatch):
    module, of = made(), batch()
    source, target = 2 * of["source"] - 1, 2 * of["target"] - 1
    seen = []
    monkeypatch.setattr("lab.vision.gan.cycle.cycle_gan.optimizer_step", lambda _, __, loss: seen.append(loss))
    monkeypatch.setattr(type(module), "trainer", Pretended())
    monkeypatch.setattr(module, "optimizers", lambda: 2 * [SimpleNamespace(param_groups=[])])
    module.total_steps = 10
    module.training_step(of)
    to_target, to_source = (module.generators[way] for way in WAYS)
    judge_target, judge_source = (module.discriminators[way] for way in WAYS)
    fake_target, fake_source = to_target(source), to_source(target)
    cycle = (to_source(fake_target) - source).abs().mean() + (to_target(fake_source) - target).abs().mean()
    same = (to_target(target) - target).abs().mean() + (to_source(source) - source).abs().mean()
    fooled = (judge_target(fake_target) - 1).square().mean() + (judge_source(fake_source) - 1).square().mean()
    torch.testing.assert_close(seen[0], fooled + 10 * cycle + 5 * same)
    real = (judge_target(target) - 1).square().mean() + (judge_source(source) - 1).square().mean()
    fake = judge_target(fake_target).square().mean() + judge_source(fake_source).square().mean()
    torch.testing.assert_close(seen[1], (real + fake) / 2)


class Pretended:
    """A Trainer between two steps."""

    global_step, log_every_n_steps, world_size = 0, 0, 1


def test_the_rate_stays_and_falls_in_the_second_half(monkeypatch):
    module, of = made(lr=0.1), batch(2)
    optimizers = module.configure_optimizers()
    monkeypatch.setattr("lab.vision.gan.cycle.cycle_gan.optimizer_step", lambda *_: None)
    monkeypatch.setattr(module, "optimizers", lambda: optimizers)
    module.total_steps, rates = 8, []
    for step in range(0, 8, 2):
        trainer = Pretended()
        trainer.global_step = step
        monkeypatch.setattr(type(module), "trainer", trainer)
        module.training_step(of)
        rates.append(optimizers[0].param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05])


@pytest.mark.parametrize("limit", [{"max_epochs": 2}, {"max_steps": 24, "max_epochs": -1}])
@pytest.mark.slow
def test_a_run_ends_where_its_rate_does(limit):
    module, data = made(), StyleData(max_images=104, batch_size=8)
    trainer = Trainer(accelerator="cpu", devices=1, limit_val_batches=0, num_sanity_val_steps=0, **SILENT, **limit)
    trainer.fit(module, data)
    assert module.total_steps == trainer.global_step == (24 if "max_steps" in limit else 20)


@pytest.mark.slow
def test_what_is_measured_is_the_distance_from_the_true_letter():
    module, of = made(), batch(8)
    module.generators = nn.ModuleDict({way: nn.Identity() for way in WAYS})
    module.readers = dict.fromkeys(WAYS, Reader())
    rows = module.evaluate_batch(of)
    found = module.compute_metrics("test")
    expected = (of["source"] - of["target"]).abs().mean()
    for name in ("mae", "identity_mae", "mae_to_source", "identity_mae_to_target"):
        torch.testing.assert_close(found[name], expected)
    torch.testing.assert_close(
        found["ssim"], structural_similarity_index_measure(of["source"], of["target"], data_range=1.0)
    )
    torch.testing.assert_close(rows["loss"], torch.zeros(8))
    assert found["accuracy"] == found["identity_accuracy"] == pytest.approx(float((of["label"] == 3).float().mean()))
    drawing = plots.translations(rows)
    assert [axes.get_title(loc="left") for axes in drawing.axes] == list(plots.TITLES.values())


class Reader(nn.Module):
    """Reads a D in everything."""

    def forward(self, images):
        return images

    def read(self, features):
        return torch.ones(len(features)), torch.full((len(features),), 3)


@pytest.mark.long
def test_letters_come_nearer_to_the_true_ones_in_the_other_style(tmp_path):
    """A black image is as near by its pixels as a tolerable translation, and has no structure."""
    short = ["trainer.max_epochs=2", "trainer.limit_test_batches=40"]
    assembly = assemble(load(find_recipe("cycle_gan_letters"), short))
    trained = training.train(assembly, MemoryLogger(), tmp_path)
    found = training.test(assembly, trained.best)
    assert found["test/mae"] < 0.8 * found["test/identity_mae"]
    assert found["test/ssim"] > found["test/identity_ssim"] + 0.03
    assert found["test/accuracy"] > found["test/identity_accuracy"]


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_bad_settings_are_one_line():
    with pytest.raises(
        BadSetting, match=r"name: letters has no other dataset's images in another style; use letters_o"
    ):
        StyleData("letters")
    for size in (8, 30):
        with pytest.raises(
            BadSetting, match=f"size: images have to be at least 12 and divisible by 4, .*; found {size}"
        ):
            made(size=size)
    with pytest.raises(RecipeError, match="trainer: the learning-rate schedule needs max_epochs or max_steps"):
        assemble(load(find_recipe("cycle_gan_letters"), ["trainer.max_epochs=-1", "trainer.max_time=00:00:01:00"]))
