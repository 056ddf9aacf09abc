"""The task `forecast`: splits along time, baselines and metrics against scikit-learn, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from lab.data import time_series_split
from lab.errors import BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.series.baselines import Autoregression, seasonal_naive
from lab.series.forecast import Forecast, pinball
from lab.series.series_data import SeriesData
from lab.series.series_dataset import series_datasets


def made(data=None, **settings):
    torch.manual_seed(0)
    data = SeriesData(**{"points": 400, "window": 30, "horizon": 4, **(data or {})})
    return Forecast(**data.facts(), **settings), data


def written(folder, rows):
    file = folder / "sales.csv"
    file.write_text("day,sold\n" + "".join(f"{day},{value}\n" for day, value in enumerate(rows)))
    return file


# ---- data ------------------------------------------------------------------------------------------------------------


def points_of(data, split, width):
    """The points of the series that the windows of a part hold in their last `width` places."""
    ends = data.rows[split] + data.window + data.horizon
    return {int(end) - k for end in ends for k in range(1, width + 1)}


@pytest.mark.parametrize("folds", [{}, {"folds": 3, "fold": 0}, {"folds": 3, "fold": 2}])
def test_no_value_that_is_forecast_was_forecast_in_an_earlier_part(folds):
    _, data = made(folds)
    parts = [points_of(data, split, data.horizon) for split in ("train", "val", "test")]
    assert max(parts[0]) < min(parts[1]) <= max(parts[1]) < min(parts[2])
    assert max(parts[0]) + 1 == min(parts[1]), "and nothing is wasted"
    assert len(data.seen) == max(parts[0]) + 1


def test_folds_are_those_of_scikit_learn():
    from sklearn.model_selection import TimeSeriesSplit

    for fold, (train, val) in enumerate(TimeSeriesSplit(4, gap=3).split(np.zeros(100))):
        found = time_series_split(100, 0.2, gap=3, fold=fold, folds=4)
        assert found[0].tolist() == train.tolist()
        assert found[1].tolist() == val.tolist()


def test_a_window_is_followed_by_what_came_next():
    _, data = made()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    for i in range(3):
        start = int(batch["time"][i])
        whole = torch.cat([batch["x"][i], batch["y"][i]])
        torch.testing.assert_close(whole, data.series[start : start + 34].float())


@pytest.mark.parametrize("record", series_datasets(), ids=lambda record: record.name)
def test_every_series_is_finite_and_the_same_for_a_seed(record):
    values = record.series()
    assert values.isfinite().all()
    assert len(values) <= record.points
    assert torch.equal(values, record.series())
    if record.origin == "generated":
        assert len(record.series(points=50, seed=1)) == 50
        assert not torch.equal(record.series(points=50, seed=1), record.series(points=50, seed=2))


def test_prices_are_those_of_the_file():
    records = {record.name: record for record in series_datasets()}
    assert records["stocks"].series("IBM")[:2].tolist() == [10.970438003540039, 11.554415702819824]
    assert len(records["stocks"].series()) == 390, "one for each month, without the dividends"
    assert records["google"].series("open")[:2].tolist() == [100.0, 101.01]


# ---- baselines and metrics -------------------------------------------------------------------------------------------


def test_an_autoregression_finds_the_weights_behind_a_series():
    torch.manual_seed(0)
    values = [0.0, 0.0]
    for noise in torch.randn(5_000).tolist():
        values.append(1 + 1.2 * values[-1] - 0.5 * values[-2] + 0.1 * noise)
    model = Autoregression.fit(torch.tensor(values, dtype=torch.float64), max_order=10)
    assert 2 <= len(model.weights) <= 4, "Akaike's criterion takes little more than there is"
    np.testing.assert_allclose(model.weights[:2], [1.2, -0.5], atol=0.05)
    (found,) = model.forecast(torch.tensor([values[:20]]), 2).tolist()
    first = model.intercept + sum(w * values[19 - k] for k, w in enumerate(model.weights))
    again = model.intercept + sum(w * v for w, v in zip(model.weights, [first, *values[19::-1]], strict=False))
    np.testing.assert_allclose(found, [first, again], rtol=1e-4)


def test_an_autoregression_of_a_line_and_of_few_points_is_finite():
    line = Autoregression.fit(torch.arange(50.0).double(), max_order=10)
    torch.testing.assert_close(line.forecast(torch.arange(20.0).unsqueeze(0), 3), torch.tensor([[20.0, 21.0, 22.0]]))
    assert Autoregression.fit(torch.tensor([1.0, 3.0]).double(), max_order=10).weights


def test_seasons_are_repeated_however_far_one_looks():
    assert seasonal_naive(torch.arange(6.0).unsqueeze(0), 5, season=2).tolist() == [[4, 5, 4, 5, 4]]


def test_pinball_is_scikit_learn_s():
    torch.manual_seed(0)
    found, y = torch.randn(20, 3, 2), torch.randn(20, 3)
    for i, level in enumerate((0.1, 0.7)):
        expected = sk.mean_pinball_loss(y.flatten(), found[..., i].flatten(), alpha=level)
        assert float(pinball(found, y, [0.1, 0.7])[..., i].mean()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("log", [False, True])
def test_it_beats_the_seasons_and_says_what_scikit_learn_says(log, fitted):
    module, data = made({"points": 1_000, "log": log}, network="linear", lr=2e-2)
    found, drawn = fitted(module, data, max_epochs=20)
    batch = data.collate(data.tables["test"])
    x, y = batch["x"], batch["y"]
    with torch.inference_mode():
        said = module.eval()(x)
    train = data.seen.numpy()
    season = np.abs(train[24:] - train[:-24]).mean()
    forecasts = {"": said[..., 1], "naive/": x[:, -1:].expand(-1, 4), "seasonal_naive/": x[:, -24:-20]}
    for name, forecast in forecasts.items():
        mae = sk.mean_absolute_error(y.flatten(), forecast.flatten())
        assert found[f"test/{name}mae"] == pytest.approx(mae, rel=1e-4)
        assert found[f"test/{name}mase"] == pytest.approx(mae / season, rel=1e-4)
        rmse = sk.root_mean_squared_error(y.flatten(), forecast.flatten())
        assert found[f"test/{name}rmse"] == pytest.approx(rmse, rel=1e-4)
    inside = (said[..., 0] <= y) & (y <= said[..., 2])
    assert found["test/coverage"] == pytest.approx(float(inside.float().mean()), abs=1e-4)
    losses = [sk.mean_pinball_loss(y.flatten(), said[..., i].flatten(), alpha=q) for i, q in enumerate((0.1, 0.5, 0.9))]
    assert found["test/pinball"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["test/mae"] < 0.8 * found["test/seasonal_naive/mae"]
    assert found["test/ar/mae"] < found["test/naive/mae"]
    assert 0.6 < found["test/coverage"] < 0.95
    assert drawn.keys() == {"forecast.png", "errors.png", "gradient.png"}
    lines = drawn["errors.png"].axes[0].lines
    assert len({line.get_marker() for line in lines}) == len(lines) == 4  # told apart without colours, too


@pytest.mark.parametrize("network", ["rnn", "lstm", "gru", "tcn", "transformer", "linear", "naive"])
def test_quantiles_are_in_order_and_follow_the_units(network):
    module, data = made({"window": 24}, network=network, hidden=8)
    x = data.series[:24].float().unsqueeze(0)
    found = module.eval()(x)
    assert found.shape == (1, 4, 3)
    assert (found.diff(dim=2) >= 0).all()
    torch.testing.assert_close(module(x + 1_000) - 1_000, found, atol=1e-2, rtol=1e-2)


def test_a_naive_network_begins_with_the_last_value():
    module, data = made(network="naive")
    x = data.series[:30].float().unsqueeze(0)
    assert torch.equal(module(x), x[:, -1:, None].expand(1, 4, 3))


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "stoks"}, "name: no data set 'stoks'; did you mean 'stocks'?"),
        ({"name": "adding"}, "name: 'adding' is a data set of series; expected one of seasonal"),
        (
            {"name": "stocks", "points": None, "column": "IBN"},
            "column: stocks has no series 'IBN'; did you mean",
        ),
        ({"name": "stocks"}, "points: stocks has 390 points; leave it out"),
        ({"name": "random_walk", "log": True}, "log: random_walk has values that are not above 0"),
        ({"window": 23}, "window: the seasonal naive forecast needs a whole season of 24 points; found 23"),
        ({"window": 400}, "window: a window of 400 and a horizon of 4 need 404 points; seasonal has 400"),
        ({"points": 36}, "val_fraction: "),
        ({"gaps": "drop"}, "gaps: says how a file is read; give its `path`, or leave it out"),
        ({"folds": 500, "fold": 0}, "folds: "),
    ],
)
def test_data_that_cannot_be_is_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        made(settings)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("quantiles", [[0.1, 0.9], [0.9, 0.5], [0.5, 0.5]])
def test_quantiles_rise_and_have_a_median(quantiles):
    with pytest.raises(BadSetting, match=r"quantiles: expected rising numbers with 0\.5 among them"):
        made(quantiles=quantiles)


@pytest.mark.parametrize(
    ("rows", "settings", "key", "message"),
    [
        ([1, 2, "", 4], [], "path", "sales.csv:4: column sold: no value; fill it in"),
        ([1, "many", 3, 4], [], "path", "sales.csv:3: column sold: expected a number, found 'many'"),
        ([1, 2], ["data.column=sole"], "column", "has no column 'sole'; did you mean 'sold'?"),
        ([1, 2], ["data.column=null"], "column", "has the columns day, sold; name one"),
        ([1, 2], [], "window", "a window of 5 and a horizon of 2 need 7 points; sales.csv has 2"),
        (40 * [3], [], "path", "sales.csv is constant where it trains"),
        (list(range(40)), ["data.name=seasonel"], "name", "did you mean 'seasonal'?"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(rows, settings, key, message, tmp_path):
    file = written(tmp_path, rows)
    common = [f"data.path={file}", "data.column=sold", "data.window=5", "data.horizon=2", "data.season=null"]
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("forecast_seasonal"), [*common, *settings]))
    (problem,) = error.value.problems
    assert (problem.key, message in problem.message) == (f"data.{key}", True), problem
    assert "\n" not in str(problem)


def test_a_file_is_forecast(tmp_path):
    file = written(tmp_path, [i % 7 + 0.01 * i for i in range(60)])
    data = SeriesData(path=str(file), column="sold", window=10, horizon=2, season=7)
    assert data.tags() == {"data.name": "sales.csv", "data.origin": "real"}
    assert data.series[8].item() == pytest.approx(1.08)
    assert Forecast(**data.facts())(torch.ones(1, 10)).shape == (1, 2, 3)
