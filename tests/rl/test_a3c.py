"""A3C: one worker is A2C, several learn from copies that are late, by hand; and learning."""

import copy

import pytest
import torch
from lightning import Callback, seed_everything

from lab.errors import BadSetting
from lab.rl.a2c import A2C
from lab.rl.a3c import A3C, A3CRolloutData
from tests.rl import points

SMALL = {"hidden": [8], "entropy_coef": 0.01}


def fit(kind, env="CartPole-v1", callbacks=(), num_envs=1, **model):
    seed_everything(0, verbose=False)
    data = A3CRolloutData(env, total_steps=20 * num_envs, num_envs=num_envs, eval_every=1_000, eval_episodes=1)
    agent = kind(**{key: value for key, value in data.facts().items() if key != "num_steps"}, **(SMALL | model))
    return agent, points.fit(agent, data, callbacks, limit_val_batches=0)


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_one_worker_is_a2c(env):
    """Whose batch is summed in another order."""
    own = {"normalize_observations": True, "normalize_rewards": True}
    (one, _), (other, _) = fit(A3C, env, **own), fit(A2C, env, **own)
    for name, expected in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], expected, atol=1e-5, rtol=1e-4)


class Keep(Callback):
    """Agents and rollouts before each update."""

    def __init__(self):
        self.found = []

    def on_train_batch_start(self, trainer, agent, batch, index):  # noqa: ARG002
        weights = {name: value.clone() for name, value in agent.state_dict().items()}
        self.found.append((weights, copy.deepcopy(trainer.optimizers[0].state_dict()), batch.steps.clone()))


def test_each_gradient_is_of_the_worker_s_own_copy_and_late(monkeypatch):
    monkeypatch.setattr(A3CRolloutData, "batch_steps", 0)  # one rollout each
    keep = Keep()
    agent, _ = fit(A3C, callbacks=[keep], num_envs=3)
    weights, _, steps = keep.found[1]
    latest = weights["copy_critic_0_weight"][-1]
    assert torch.equal(latest, weights["critic.0.weight"]), "the last worker has what all of them made"
    assert not torch.equal(weights["copy_critic_0_weight"][0], latest), "the first one lacks the others' updates"
    agent.load_state_dict(weights)
    columns = (steps["observation"], steps["action"], torch.randn(5, 3), torch.randn(5, 3))
    gradients, measured = agent.worker_gradients(*columns)
    for worker in range(3):
        alone = A2C("CartPole-v1", 4, {"count": 2}, num_envs=1, **SMALL)
        for of, network in {"policy": alone.policy, "critic": alone.critic}.items():
            network.load_state_dict({name: value[worker] for name, value in agent.copies(of).items()})
        policy, value, entropy = alone.losses(*(column[:, worker] for column in columns))
        loss = policy + alone.value_coef * value - alone.entropy_coef * entropy
        expected = torch.autograd.grad(loss, alone.groups()[0])
        torch.testing.assert_close([gradient[worker] for gradient in gradients], list(expected))
        torch.testing.assert_close(measured["loss/policy"][worker], policy.detach())


def test_a_worker_acts_and_judges_by_its_own_copy():
    agent = A3C("CartPole-v1", 4, {"count": 2}, num_envs=2, **SMALL)
    with torch.no_grad():
        for value in (*agent.copies("policy").values(), *agent.copies("critic").values()):
            value[1].normal_()
    seen, never = torch.randn(1, 4).expand(2, 4), torch.zeros(2, dtype=torch.bool)
    values = agent.worker_values(seen)
    torch.testing.assert_close(values[0], agent.value(seen[0]))
    assert not torch.allclose(values[0], values[1])
    noise = torch.zeros(2, 2)
    action, _ = agent.actor()(seen, noise, never)
    assert action[0] == agent(seen[:1])


def test_workers_learn_from_images():
    torch.manual_seed(0)
    agent = A3C("Screens", [2, 8, 8], {"count": 2}, num_envs=3, hidden=[16])
    with torch.no_grad():
        for value in (*agent.copies("policy").values(), *agent.copies("critic").values()):
            value.add_(0.1 * torch.randn_like(value))
    screens = torch.randint(256, (5, 3, 2, 8, 8), dtype=torch.uint8)  # of five steps
    values, copies = agent.worker_values(screens), agent.copies("critic")
    for worker in range(3):
        own = {name: value[worker] for name, value in copies.items()}
        expected = torch.func.functional_call(agent.critic, own, (screens[:, worker],)).squeeze(-1)
        torch.testing.assert_close(values[:, worker], expected)
    action, _ = agent.actor()(screens[0], torch.zeros(3, 2), torch.zeros(3, dtype=torch.bool))
    columns = (screens, action.expand(5, 3), torch.randn(5, 3), torch.randn(5, 3))
    gradients, _ = agent.worker_gradients(*columns)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_same_seed_gives_the_same_workers():
    (one, _), (other, _) = fit(A3C, num_envs=3), fit(A3C, num_envs=3)
    assert points.equal(one, other)
    with pytest.raises(BadSetting, match="compile: a3c cannot be compiled"):
        one.compile()
