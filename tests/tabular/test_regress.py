"""The task `regress`: pairs from a function or a file, figures, pictures, and what is refused."""

import numpy as np
import pytest
import torch
from lightning import Trainer
from sklearn import metrics as sk
from torch import nn

from lab.errors import BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.tabular import plots as pictures
from lab.tabular.data.curve_data import FUNCTIONS, LEAST, CurveData, read
from lab.tabular.regress import Regress


def quiet(**settings):
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(accelerator="cpu", devices=1, logger=False, num_sanity_val_steps=0, **silent, **settings)


def pairs(data):
    return torch.cat([data.table["x"], data.table["y"]], 1)


def written(folder, *lines):
    file = folder / "pairs.csv"
    file.write_text("\n".join(lines))
    return file


# ---- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pairs_are_the_function_and_its_noise(function):
    clean, noisy = (pairs(CurveData(function, points=2_000, noise=noise)) for noise in (0, 0.3))
    assert torch.equal(clean[:, 1], FUNCTIONS[function](clean[:, 0]))
    assert torch.equal(clean[:, 0], noisy[:, 0])
    assert float((noisy - clean)[:, 1].std()) == pytest.approx(0.3, rel=0.05)
    assert not torch.equal(noisy, pairs(CurveData(function, points=2_000, noise=0.3, data_seed=1)))


def test_parts_share_nothing_and_leave_nothing_out():
    data = CurveData(points=101, val_fraction=0.1, test_fraction=0.3)
    assert {name: len(rows) for name, rows in data.rows.items()} == {"train": 61, "val": 10, "test": 30}
    assert sorted(torch.cat(list(data.rows.values())).tolist()) == list(range(101))
    train = pairs(data)[data.rows["train"]].numpy()
    np.testing.assert_allclose(data.facts()["center"], train.mean(0), rtol=1e-5)
    np.testing.assert_allclose(data.facts()["spread"], train.std(0, ddof=1), rtol=1e-5)
    assert all(len(CurveData(points=LEAST, val_fraction=0.4, test_fraction=0.4).rows[part]) > 1 for part in data.rows)


@pytest.mark.parametrize("names", [[], ["x,y"]], ids=["bare", "named"])
def test_a_file_with_two_columns_is_read(names, tmp_path):
    file = written(tmp_path, *names, *(f"{i}, {2 * i + 1}" for i in range(20)), "")
    assert read(file).tolist() == [[i, 2 * i + 1] for i in range(20)]
    data = CurveData(path=str(file))
    assert data.facts()["function"] is None
    assert data.tags() == {"data.name": "pairs.csv", "data.origin": "real"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,2", "3,four"], "pairs.csv:2: column 2: expected a number, found 'four'"),
        (["1,2", "3,1_0"], "pairs.csv:2: column 2: expected a number, found '1_0'"),
        (["1,2,3"], "pairs.csv has 3 columns; expected two, x and y"),
        (["1,nan"], "pairs.csv:1: column 2: no value ('nan')"),
        (["x,y", "1,2"], "pairs.csv has 1 pairs; 10 are needed"),
        ([], "pairs.csv is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(lines, message, tmp_path):
    file = written(tmp_path, *lines)
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("regress_curve"), [f"data.path={file}"]))
    (problem,) = error.value.problems
    assert (problem.key, message in problem.message) == ("data.path", True)
    assert "\n" not in str(problem)


def test_no_file_and_no_text_are_one_line(tmp_path):
    (tmp_path / "bytes.csv").write_bytes(b"1,2\n\xff\x00")
    for name, reason in (
        ("nowhere.csv", " cannot be read: No such"),
        ("bytes.csv", ":2: byte 0xff is not UTF-8; save"),
    ):
        with pytest.raises(BadSetting, match=f"{name}{reason}"):
            CurveData(path=str(tmp_path / name))


def test_a_shuffled_epoch_is_that_of_the_run_s_seed():
    def epoch(seed):
        torch.manual_seed(seed)
        data = CurveData(points=100, batch_size=16)
        data.setup("fit")
        return torch.cat([torch.cat([batch["x"], batch["y"]], 1) for batch in data.train_dataloader()])

    first = epoch(0)
    assert first.shape == (48, 2)
    assert torch.equal(first, epoch(0))
    assert not torch.equal(first, epoch(1))
    whole = CurveData(points=100)
    training = pairs(whole)[whole.rows["train"]].tolist()
    assert all(pair in training for pair in first.tolist())


# ---- training, figures, pictures -------------------------------------------------------------------------------------


def test_numbers_are_in_the_units_of_the_data():
    module = Regress([10.0, -5.0], [2.0, 3.0], None, hidden=[])
    with torch.no_grad():
        module.network[0].weight.fill_(1.0)
        module.network[0].bias.zero_()
        torch.testing.assert_close(module(torch.tensor([[10.0], [14.0]])), torch.tensor([[-5.0], [1.0]]))
        loss = module.training_loss({"x": torch.tensor([[14.0]]), "y": torch.tensor([[4.0]])}, 0.0)
    assert float(loss) == pytest.approx(1.0), "one spread away"


@pytest.mark.slow
def test_it_learns_the_waves_and_says_what_scikit_learn_says(monkeypatch):
    torch.manual_seed(0)
    data = CurveData(points=500, noise=0.05)
    module = Regress(**data.facts())
    drawn = {}
    monkeypatch.setattr("lab.plots.log_figure", lambda _, name, picture: drawn.update({name: picture}))
    trainer = quiet(max_epochs=40, limit_val_batches=0)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    x, y = pairs(data)[data.rows["test"]].split(1, 1)
    with torch.inference_mode():
        said = module.eval()(x)
    expected = {
        "test/loss": sk.mean_squared_error(y, said) / float(module.spread[1]) ** 2,
        "test/mse": sk.mean_squared_error(y, said),
        "test/mae": sk.mean_absolute_error(y, said),
        "test/r2": sk.r2_score(y, said),
    }
    assert found == pytest.approx(expected, rel=1e-4)
    assert found["test/r2"] > 0.5, "a line reaches 0.1"
    assert drawn.keys() == {"curve.png", "layers.png"}


@pytest.mark.slow
def test_pictures_show_every_layer_and_every_pair():
    network = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))
    page = pictures.layers(network, [torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 2.0]]), torch.randn(2, 1)])
    assert [axes.get_title(loc="left") for axes in page.axes] == ["layer 1: 1 to 3", "output: 3 to 1", "", ""]
    assert page.axes[2].get_xlabel() == "activation; 2 of 3 units are constant"
    pairs = torch.randn(7, 2)
    drawing = pictures.curve(lambda x: 2 * x, pairs, None)
    np.testing.assert_allclose(drawing.axes[0].collections[0].get_offsets(), pairs, rtol=1e-6)
    line = drawing.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), 2 * line.get_xdata(), rtol=1e-5)
