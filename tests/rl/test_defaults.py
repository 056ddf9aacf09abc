"""The defaults of agents are the field's, so that a task without settings does what people know."""

import inspect

import pytest

from lab.registry import find_task

STABLE_BASELINES = {  # 2.9, and sb3-contrib's trpo and tqc
    "dqn": {
        "lr": 1e-4, "batch_size": 32, "buffer_size": 1_000_000, "learning_starts": 100, "tau": 1.0, "gamma": 0.99,
        "updates_per_step": 1 / 4, "exploration_fraction": 0.1, "epsilon": 1.0, "final_epsilon": 0.05,
        "target_update_interval": 10_000 / 4, "max_grad_norm": 10, "n_step": 1, "hidden": [64, 64],
    },
    "a2c": {
        "lr": 7e-4, "num_envs": 1, "num_steps": 5, "gamma": 0.99, "gae_lambda": 1.0, "entropy_coef": 0.0,
        "value_coef": 0.5, "max_grad_norm": 0.5, "hidden": [64, 64], "log_std_init": 0.0, "scale_actions": False,
    },
    "ppo": {
        "lr": 3e-4, "num_steps": 2_048 / 8, "batch_size": 64, "update_epochs": 10, "gamma": 0.99, "gae_lambda": 0.95,
        "clip_range": 0.2, "normalize_advantages": True, "entropy_coef": 0.0, "value_coef": 0.5, "max_grad_norm": 0.5,
        "hidden": [64, 64],
    },
    "recurrent_ppo": {
        "lr": 3e-4, "num_steps": 128, "batch_size": 128, "update_epochs": 10, "memory_size": 256, "cell": "lstm",
        "hidden": [64, 64],
    },
    "trpo": {
        "lr": 1e-3, "num_steps": 2_048 / 8, "batch_size": 128, "gamma": 0.99, "gae_lambda": 0.95, "cg_max_steps": 15,
        "cg_damping": 0.1, "line_search_shrinking_factor": 0.8, "line_search_max_iter": 10, "critic_updates": 10,
        "target_kl": 0.01, "hidden": [64, 64],
    },
    "ddpg": {"lr": 1e-3, "hidden": [400, 300]},
    "td3": {
        "lr": 1e-3, "hidden": [400, 300], "policy_delay": 2, "target_policy_noise": 0.2, "target_noise_clip": 0.5,
    },
    "sac": {"lr": 3e-4, "alpha_init": 1.0, "target_entropy": None, "hidden": [256, 256]},
    "tqc": {
        "lr": 3e-4, "alpha_init": 1.0, "target_entropy": None, "hidden": [256, 256], "num_critics": 2,
        "num_quantiles": 25, "top_quantiles_to_drop": 2,
    },
    "crossq": {
        "lr": 1e-3, "alpha_init": 1.0, "target_entropy": None, "hidden": [256, 256], "critic_hidden": [1024, 1024],
        "num_critics": 2, "policy_delay": 3, "beta1": 0.5, "batch_norm_momentum": 0.01, "renorm_warmup_steps": 100_000,
    },
}  # fmt: skip
REPLAY = {
    "batch_size": 256, "buffer_size": 1_000_000, "learning_starts": 100, "tau": 0.005, "gamma": 0.99,
    "updates_per_step": 1.0, "n_step": 1,
}  # fmt: skip
for name in ("ddpg", "td3", "sac", "tqc", "crossq"):
    STABLE_BASELINES[name] |= REPLAY


def defaults(kind):
    """Of a class's constructor, and of its parents' where it passes keywords on."""
    found = {}
    for cls in reversed(kind.__mro__):
        if "__init__" in vars(cls) and cls.__module__.startswith("lab."):
            found |= {name: each.default for name, each in inspect.signature(cls.__init__).parameters.items()}
    return found


@pytest.mark.parametrize("name", STABLE_BASELINES)
def test_defaults_are_those_of_stable_baselines(name):
    task = find_task(name)
    here = defaults(task.module) | defaults(task.data)  # what the module has from the data is its default
    assert {key: here[key] for key in STABLE_BASELINES[name]} == STABLE_BASELINES[name]
    assert here["final_lr"] == 1.0
