"""The shipped recipes reach the scores that their headers promise: what a broken algorithm cannot do."""

import pytest

import lab


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        "ddpg_pendulum",
        "td3_pendulum",
        "sac_pendulum",
        pytest.param("tqc_pendulum", marks=pytest.mark.long),
    ],
)
def test_an_off_policy_agent_swings_the_pendulum_up(recipe, tmp_path):
    """An agent that never swings up stays more than 600 behind the optimum, one that does not hold it up 100."""
    result = lab.run(recipe, f"track.uri=sqlite:///{tmp_path}/mlflow.db")
    assert result.metrics["test/distance"] <= 25, "9 to 15 where it was measured; another machine rounds otherwise"
