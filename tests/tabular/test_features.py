"""Rows of features: reading, encoding, splitting, what each model learns beside scikit-learn's, and what is refused."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.tabular import plots as draw
from lab.tabular.classify_tabular import ClassifyTabular
from lab.tabular.data.encoder import Encoder
from lab.tabular.data.feature_data import LabeledFeatureData, MeasuredFeatureData
from lab.tabular.data.frame import read_frame
from lab.tabular.losses import value_losses
from lab.tabular.network import RBF
from lab.tabular.regress_tabular import RegressTabular

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def trained(module, data, epochs):
    """What the test says after so many epochs."""
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, data)
    return trainer.test(module, data, verbose=False)[0]


def classifier(data, **settings):
    torch.manual_seed(0)
    return ClassifyTabular(**data.facts(), **settings)


HOUSES = [
    "rooms,town,code,price",
    *(f"{i % 5 or ''},{('Ulm', 'Bonn', 'Kiel')[i % 3]},{10 + i % 2},{100 + i}" for i in range(20)),
]


def houses(folder, lines=HOUSES):
    file = folder / "houses.csv"
    file.write_text("\n".join(lines))
    return str(file)


# ---- reading and encoding --------------------------------------------------------------------------------------------


def test_csv_and_parquet_are_the_same_rows(tmp_path):
    rows = read_frame(tmp_path / houses(tmp_path), categories=["code"])
    assert rows.dtypes.astype(str).tolist() == ["float64", "object", "object", "float64"]
    assert np.isnan(rows["rooms"][0])
    pd.read_csv(tmp_path / "houses.csv").to_parquet(tmp_path / "houses.parquet")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "houses.parquet", categories=["code"]), rows)


@pytest.mark.parametrize("missing", ["mean", "median"])
def test_columns_are_encoded_as_scikit_learn_does(missing):
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "a": np.where(random.random(60) < 0.2, np.nan, random.random(60)),
            "b": random.choice(np.array(["x", "y", "z", np.nan], dtype=object), 60, p=[0.4, 0.2, 0.2, 0.2]),
        }
    )
    unknown = pd.DataFrame({"a": [np.nan], "b": ["new"]})
    found = Encoder.fit(rows, missing, "rows")
    most = SimpleImputer(strategy="most_frequent")
    texts = make_pipeline(most, OneHotEncoder(handle_unknown="ignore"))
    expected = make_column_transformer((SimpleImputer(strategy=missing), ["a"]), (texts, ["b"]), sparse_threshold=0)
    np.testing.assert_allclose(found(rows), expected.fit_transform(rows), rtol=1e-6)
    np.testing.assert_allclose(found(unknown), expected.transform(unknown), rtol=1e-6)
    assert found.groups == {"a": [0], "b": [1, 2, 3]}


def test_only_training_rows_say_what_stands_for_a_missing_value(tmp_path):
    random = torch.Generator().manual_seed(0)
    values = [f"{value:.3f}" for value in torch.randn(100, generator=random).tolist()]
    path = houses(tmp_path, ["x,y", *(f"{'' if i % 4 == 0 else value},{i}" for i, value in enumerate(values))])
    fills = []
    for fold in range(4):
        data = MeasuredFeatureData(path=path, target="y", missing="mean", folds=4, fold=fold)
        known = torch.tensor([float(values[i]) for i in data.rows["train"].tolist() if i % 4])
        assert data.encoder.columns[0].fill == pytest.approx(float(known.mean()), rel=1e-5)
        fills.append(data.encoder.columns[0].fill)
    assert len(set(fills)) == 4


def test_every_part_has_its_share_of_each_class_and_folds_leave_nothing_out():
    data = LabeledFeatureData(name="breast_cancer")
    shares = [float((data.y["label"][rows] == 0).float().mean()) for rows in data.rows.values()]
    assert max(shares) - min(shares) < 0.02
    folds = [LabeledFeatureData(name="wine", folds=5, fold=fold).rows for fold in range(5)]
    validated = torch.cat([rows["val"] for rows in folds])
    assert sorted(torch.cat([validated, folds[0]["test"]]).tolist()) == list(range(178))


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (["a,b", "1,x", "four,y"], [], "houses.csv:3: column a: expected a number, found 'four'; correct it"),
        (HOUSES, ["data.target=cost"], "houses.csv has no column 'cost'; it has rooms, town, code, price"),
        (HOUSES, ["data.target=null"], "name the column of houses.csv that is predicted: rooms, town, code, price"),
        (HOUSES, [], "houses.csv: row 1 has no rooms, and 4 rows have gaps; set missing to mean, median or drop"),
        (HOUSES, ["data.drop=[romms]"], "houses.csv has no feature 'romms'; did you mean 'rooms'?"),
        (HOUSES, ["data.target=town", "data.missing=mean"], "column town of houses.csv holds classes; use the task"),
        (["name,price", *(f"street {i},{i}" for i in range(30))], [], "are no categories; leave it out, or group them"),
        (["a,price", *(f",{i}" for i in range(30))], ["data.missing=mean"], "column a of houses.csv has no value"),
        (["a,price", "1,2"], [], "houses.csv has 1 rows; 10 are needed"),
        (["a,price", *(f"{i}," for i in range(30))], [], "row 1 has no price; fill it in"),
        ([",a,price", *(f"{i},{i % 7},{i}" for i in range(30))], [], "column 1 of houses.csv has no name; add ''"),
        (["a,price", *(f"{i},5" for i in range(30))], [], "column price of houses.csv is constant"),
        (["a,price", *(f"{i},1e300" for i in range(30))], [], "column price: 1e300 is beyond 1e+18"),
        (["a,price", *(f'"{i % 3},5",{i}' for i in range(30))], [], "houses.csv:2: column a: '0,5' is no number as"),
        (["a,price", *(f"{i % 3} %,{i}" for i in range(30))], [], "houses.csv:2: column a: '0 %' is no number as"),
        (["price", *map(str, range(30))], [], "there is nothing to predict from"),
        (["a,price", *(f"{i % 7},{i}" for i in range(30))], ["data.name=diabetis"], "did you mean 'diabetes'?"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_one_line(lines, settings, message, tmp_path):
    overrides = [f"data.path={houses(tmp_path, lines)}", "data.name=diabetes", "data.target=price", *settings]
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("regress_tabular_diabetes"), overrides))
    (problem,) = error.value.problems
    assert message in problem.message
    assert "\n" not in str(problem)


@pytest.mark.slow
def test_numbers_that_are_no_classes_and_files_that_are_no_parquet_are_one_line(tmp_path):
    (tmp_path / "rows.parquet").write_text("a,b")
    for settings, message in (
        (["data.name=diabetes"], "use the task regress_tabular"),
        ([f"data.path={tmp_path / 'rows.parquet'}", "data.target=b"], "is no Parquet file"),
        ([f"data.path={tmp_path / 'none.parquet'}", "data.target=b"], "cannot be read"),
        (["data.target=petal"], "says how a file is read"),
    ):
        with pytest.raises(RecipeError, match=message):
            assemble(load(find_recipe("classify_tabular_iris"), settings))


# ---- what is learnt --------------------------------------------------------------------------------------------------


def test_a_step_on_the_perceptron_loss_is_rosenblatt_s_rule():
    data = LabeledFeatureData(name="separable", batch_size=1)
    module = classifier(data, hidden=[], loss="perceptron", optimizer="sgd", lr=1.0, schedule="constant")
    module.network.fit(data.x)
    layer = module.network.body[0]
    weights = torch.cat([layer.weight.detach()[0], layer.bias.detach()])
    optimizer = module.configure_optimizers()
    for row in range(40):
        x, label = data.x[row : row + 1], data.y["label"][row : row + 1]
        inputs = torch.cat([module.network.scale(x)[0], torch.ones(1)])
        sign = 2.0 * label - 1
        if sign * (weights @ inputs) < 0:
            weights = weights + sign * inputs
        optimizer.zero_grad()
        module.training_loss({"x": x, "label": label}, 0.0).backward()
        optimizer.step()
        torch.testing.assert_close(torch.cat([layer.weight[0], layer.bias]), weights)


@pytest.mark.long
def test_a_perceptron_separates_what_a_line_can_and_no_more():
    rule = {"hidden": [], "loss": "perceptron", "optimizer": "sgd", "lr": 1.0, "schedule": "constant"}
    line, xor = (LabeledFeatureData(name=name, batch_size=1) for name in ("separable", "xor"))
    assert trained(classifier(line, **rule), line, 2)["test/accuracy"] > 0.98
    assert trained(classifier(xor, **rule), xor, 1)["test/accuracy"] < 0.7
    assert trained(classifier(xor, network="rbf", lr=0.1), LabeledFeatureData(name="xor"), 8)["test/accuracy"] > 0.95
    found = trained(classifier(xor, hidden=[16]), LabeledFeatureData(name="xor"), 15)
    assert found["test/accuracy"] > 0.95
    assert found["test/gradient_boosting/accuracy"] > 0.95
    assert found["test/logistic_regression/accuracy"] < 0.7


@pytest.mark.slow
def test_linear_models_are_those_of_scikit_learn():
    data = LabeledFeatureData(name="wine", batch_size=200)
    penalty = {"weight_decay": 1 / len(data.rows["train"]), "decay_norm_and_bias": False}
    module = classifier(data, hidden=[], optimizer="adam", lr=0.1, **penalty)
    trained(module, data, 200)
    train, test = (data.x[data.rows[part]] for part in ("train", "test"))
    own = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, data.y["label"][data.rows["train"]])
    with torch.inference_mode():
        np.testing.assert_allclose(module(test).softmax(1), own.predict_proba(test), atol=0.01)
    rows = MeasuredFeatureData(batch_size=500)
    torch.manual_seed(0)
    line = RegressTabular(**rows.facts(), hidden=[], optimizer="lbfgs", lr=1.0, schedule="constant")
    found = trained(line, rows, 5)
    assert found["test/mse"] == pytest.approx(found["test/linear_regression/mse"], rel=1e-3)
    train, test = (rows.x[rows.rows[part]].double() for part in ("train", "test"))
    closed = LinearRegression().fit(train, rows.y["y"][rows.rows["train"]].double()).predict(test)
    with torch.inference_mode():
        np.testing.assert_allclose(line(test.float()), closed, rtol=1e-2)


def test_losses_of_values_are_those_of_their_formulas():
    predicted, target = torch.tensor([[3.0], [10.0]]), torch.tensor([[2.0], [4.0]])
    expected = {"mse": [0.25, 9.0], "mae": [0.5, 3.0], "mape": [0.5, 1.5], "huber": [0.125, 2.5]}
    for name, values in expected.items():
        assert value_losses(name, predicted, target, torch.tensor([2.0]), 1.0).tolist() == pytest.approx(values)


def test_centres_of_radial_functions_lie_where_the_rows_do():
    random = torch.Generator().manual_seed(0)
    clusters = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    network = RBF(2, 3, 1)
    network.fit(clusters.repeat(50, 1) + 0.1 * torch.randn(150, 2, generator=random))
    assert torch.cdist(network.centers, clusters).amin(1).max() < 0.1
    assert all(8 < float(width) < 13 for width in network.widths)


def test_pictures_say_what_was_measured():
    falls = {"a": torch.tensor([0.1, 0.3]), "b": torch.tensor([0.0, 0.0])}
    drawing = draw.importance(falls, "accuracy")
    assert [round(float(bar.get_width()), 3) for bar in drawing.axes[0].patches] == [0.0, 0.2]
    probabilities = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55], [0.3, 0.7]])
    curve = draw.calibration(probabilities, torch.tensor([0, 1, 1, 1])).axes[0].lines[1]
    np.testing.assert_allclose(curve.get_data(), [[0.55, 0.7, 0.95], [1.0, 1.0, 0.5]], rtol=1e-5)
    points = draw.residuals(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 1.0])).axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(points, [[1.0, 0.5], [2.0, -1.0]])
    corners, labels = torch.tensor([[-1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])
    plane = draw.regions(lambda x: (x[:, 0] > 0).long(), corners, labels, ["a", "b"])
    said = plane.axes[0].images[0].get_array()
    assert said[:, 0].max() == 0
    assert said[:, -1].min() == 1
    assert [text.get_text() for text in plane.axes[0].texts] == ["a", "b"]  # told apart without colours, too
    assert [round(text.xy[0], 1) for text in plane.axes[0].texts] == [-0.6, 0.6]
    one, other = (dots.get_paths()[0].vertices for dots in plane.axes[0].collections)
    assert one.shape != other.shape
