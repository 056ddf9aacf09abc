"""Classes that training leaves out, and how well a method tells them from the others."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.anomaly import Anomalies, pca_errors
from lab.vision.data.image_data import ImageData
from lab.vision.plots.anomaly import errors as draw


def test_a_class_that_is_left_out_is_in_the_test_alone():
    data = ImageData("digits", leave_out=["3", "7"])
    train, test = data.load_tables(test=False), data.load_tables(test=True)["test"]
    known = torch.cat([train["train"]["label"], train["val"]["label"]])
    assert set(known.tolist()) == {0, 1, 2, 4, 5, 6, 8, 9}
    assert set(test["label"].tolist()) == set(range(10))
    assert data.facts()["left_out"] == ["3", "7"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.leave_out=[three]"], "digits has no class 'three'; its classes are 0, 1, 2"),
        ([f"data.leave_out={[str(i) for i in range(10)]}"], "digits would have no class to train with"),
        (["data.name=faces", "data.size=null", "data.leave_out=[nose]"], "faces has no class 'nose'"),
    ],
)
def test_classes_that_cannot_be_left_out_are_one_line(settings, message):
    with pytest.raises(RecipeError, match=message):
        assemble(load(find_recipe("autoencode_digits"), settings))


def test_areas_and_errors_are_those_of_scikit_learn():
    random = torch.Generator().manual_seed(0)
    errors, unknown = torch.randint(9, (200,), generator=random).float(), torch.rand(200, generator=random) < 0.3
    assert Anomalies(errors, unknown).auroc == pytest.approx(roc_auc_score(unknown, errors))
    train, test = torch.rand(60, 1, 4, 4, generator=random), torch.rand(9, 1, 4, 4, generator=random)
    own = PCA(3).fit(train.flatten(1))
    shown = own.inverse_transform(own.transform(test.flatten(1)))
    expected = ((shown - test.flatten(1).numpy()) ** 2).mean(1)
    np.testing.assert_allclose(pca_errors(train, test, 3), expected, rtol=1e-3)


def test_every_method_has_a_panel():
    found = Anomalies(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([False, False, True]))
    titles = [axes.get_title(loc="left") for axes in draw({"a": found, "b": found}).axes]
    assert titles == ["a: ROC area 1.000", "b: ROC area 1.000"]
