"""Scikit-learn's models that stand beside every test, with their default settings, on the same rows."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

MANY = 10_000  # rows from which scikit-learn advises the variant on histograms


def class_baselines(train_x: NDArray[Any], train_y: NDArray[Any]) -> dict[str, Any]:
    """Fitted classifiers by name: gradient boosting and logistic regression.

    >>> x = np.arange(20.0)[:, None]
    >>> class_baselines(x, x[:, 0] > 9)["gradient_boosting"].predict([[3.0]]).tolist()
    [False]
    """
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    boosting = HistGradientBoostingClassifier if len(train_x) >= MANY else GradientBoostingClassifier
    models = {
        "gradient_boosting": boosting(random_state=0),
        "logistic_regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)),
    }
    return {name: model.fit(train_x, train_y) for name, model in models.items()}


def value_baselines(train_x: NDArray[Any], train_y: NDArray[Any]) -> dict[str, Any]:
    """Fitted regressors by name: gradient boosting and linear regression by least squares.

    >>> x = np.arange(20.0)[:, None]
    >>> round(float(value_baselines(x, 2 * x[:, 0])["linear_regression"].predict([[30.0]])[0]), 3)
    60.0
    """
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    boosting = HistGradientBoostingRegressor if len(train_x) >= MANY else GradientBoostingRegressor
    models = {"gradient_boosting": boosting(random_state=0), "linear_regression": LinearRegression()}
    return {name: model.fit(train_x, train_y) for name, model in models.items()}
