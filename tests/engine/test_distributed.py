"""Two processes on the CPU, two nodes, and bfloat16: through the command, as a user would."""

import socket

import pytest
import torch
from mlflow import MlflowClient
from processes import Started, lab

DDPG = ["data.total_steps=600", "data.learning_starts=200", "data.eval_every=200", "data.eval_episodes=2"]
SHORT = {
    "ddpg_pendulum": [*DDPG, "data.test_episodes=2", "data.episode_steps=100", "model.hidden=[16]"],
    "two_moons": ["trainer.max_epochs=2"],
}
MONITOR = {
    "ddpg_pendulum": "val/return",
    "two_moons": "val/accuracy",
}


def only_run(folder):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [found.experiment_id for found in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [pytest.param("ddpg_pendulum", marks=pytest.mark.long), "two_moons"])
def test_two_processes_share_one_run(recipe, tracked):
    two = ["trainer.accelerator=cpu", "trainer.strategy=ddp", "trainer.devices=2"]
    done = lab(tracked, "run", recipe, *SHORT[recipe], *two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("FINISHED") == 1, "only the first process speaks"
    run = only_run(tracked)
    assert run.info.status == "FINISHED"
    assert MONITOR[recipe] in run.data.metrics
    if recipe == "ddpg_pendulum":
        last = torch.load(*tracked.glob("mlruns/*/*/artifacts/checkpoints/last.ckpt"), weights_only=True)
        assert last["env_steps"] == 600
        assert last["state_dict"]["updates"] == 200, "two processes collect: half the blocks for the same steps"


PPO = ["data.total_steps=1024", "data.num_envs=4", "data.num_steps=64", "model.batch_size=128", "data.eval_every=512"]
ONE_OF_TWO = ["trainer.accelerator=cpu", "trainer.strategy=ddp", "trainer.devices=1", "trainer.num_nodes=2"]
# the environment of the first and the second node
TORCHRUN = [
    {"RANK": rank, "GROUP_RANK": rank, "LOCAL_RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "one"}
    for rank in "01"
]
SLURM = [
    {"SLURM_PROCID": rank, "SLURM_NODEID": rank, "SLURM_LOCALID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7"}
    | {"SLURM_JOB_NAME": "agents", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NODELIST": "127.0.0.1"}
    for rank in "01"
]


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [TORCHRUN, pytest.param(SLURM, marks=pytest.mark.long)], ids=["torchrun", "slurm"])
def test_two_nodes_learn_together_on_policy(nodes, tracked):
    """Of as many steps each collects a half; gradients and statistics are those of both. Six CPU seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    norms = ["model.normalize_observations=true", "model.normalize_rewards=true"]
    command = ["run", "ppo_cartpole", *PPO, "data.eval_episodes=1", "data.test_episodes=1", *norms, *ONE_OF_TWO]
    started = [Started(tracked, "lab", *command, **node, **address) for node in nodes]
    said = [each.communicate() for each in started]
    assert [each.returncode for each in started] == [0, 0], said
    assert [out.count("FINISHED") for out, _ in said] == [1, 0], "only the first process speaks"
    folder = next(tracked.glob("mlruns/*/*/artifacts/checkpoints"))
    last = torch.load(folder / "last.ckpt", weights_only=True)
    assert last["env_steps"] == 1024
    assert last["state_dict"]["observation_norm.count"] == last["state_dict"]["reward_scale.count"] == 1024
    assert last["state_dict"]["updates"] == 2 * 10 * 2, "two rollouts of 512 steps, ten epochs, two minibatches each"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [pytest.param("ddpg_pendulum", marks=pytest.mark.long), "two_moons"])
def test_bfloat16_trains(recipe, tracked):
    done = lab(tracked, "run", recipe, *SHORT[recipe], "trainer.precision=bf16-mixed", "trainer.accelerator=cpu")
    assert done.returncode == 0, done.stderr
    run = only_run(tracked)
    assert run.data.params["trainer.precision"] == "bf16-mixed"
    assert run.data.metrics[MONITOR[recipe]] == run.data.metrics[MONITOR[recipe]], "not NaN"


@pytest.mark.long
@pytest.mark.parametrize("env", ["MountainCarContinuous-v0", pytest.param("Hopper-v5", marks=pytest.mark.long)])
def test_the_recipe_takes_another_environment(env, tracked):
    if env == "Hopper-v5":
        pytest.importorskip("mujoco", reason="needs the extra: pip install 'torch-lab[mujoco]'")
    done = lab(
        tracked,
        "run",
        "ddpg_pendulum",
        *SHORT["ddpg_pendulum"],
        f"data.env={env}",
        "data.eval_episodes=1",
        "data.test_episodes=1",
    )
    assert done.returncode == 0, done.stderr
    metrics = only_run(tracked).data.metrics
    assert "test/return" in metrics
    assert "test/optimality_gap" not in metrics, "only where the optimum is known"
