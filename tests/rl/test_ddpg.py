"""DDPG: its update against torchrl's and torch's own, truncation, noise, seeds, and that it learns."""

import copy

import pytest
import torch
from lightning import Trainer, seed_everything
from tensordict.nn import TensorDictModule
from torchrl.objectives import DDPGLoss, SoftUpdate

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG
from tests.rl.peer import as_tensordict, load, transitions

GAMMA, TAU, LR = 0.98, 0.02, 3e-3
FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": {"low": [-2.0], "high": [2.0]}}


def batch():
    return transitions(**FACTS["action"])


def make(**settings):
    torch.manual_seed(0)
    agent = DDPG(**FACTS, **({"gamma": GAMMA, "tau": TAU, "lr": LR, "hidden": [32, 32]} | settings))
    for parameter in [*agent.target_actor.parameters(), *agent.target_critic.parameters()]:
        parameter.add_(0.05 * torch.randn_like(parameter))  # targets that differ, so that mixing them up shows
    return agent


def reference(agent):
    """torchrl's loss and target update over the same networks."""
    actor = TensorDictModule(copy.deepcopy(agent.actor), ["observation"], ["action"])
    critic = TensorDictModule(copy.deepcopy(agent.critic), ["observation", "action"], ["state_action_value"])
    loss = DDPGLoss(actor, critic, loss_function="l2", delay_actor=True, delay_value=True)
    loss.make_value_estimator(gamma=GAMMA)
    soft = SoftUpdate(loss, tau=TAU)  # makes the targets equal to the networks, so the targets are loaded after it
    load(loss, target_actor_network_params=agent.target_actor, target_value_network_params=agent.target_critic)
    return loss, soft


def test_losses_and_gradients_are_those_of_torchrl():
    agent, data = make(), batch()
    theirs, _ = reference(agent)
    found = theirs(as_tensordict(*data))
    critic_loss, actor_loss, _ = agent.losses(*data)
    torch.testing.assert_close(critic_loss, found["loss_value"])
    torch.testing.assert_close(actor_loss, found["loss_actor"])
    ours = torch.autograd.grad(actor_loss, list(agent.actor.parameters()))
    ours += torch.autograd.grad(critic_loss, list(agent.critic.parameters()))
    (found["loss_value"] + found["loss_actor"]).backward()
    for mine, other in zip(ours, (parameter.grad for parameter in theirs.parameters()), strict=True):
        torch.testing.assert_close(mine, other)


def test_ten_updates_are_those_of_torchrl_with_adam_and_soft_update():
    agent, data = make(), batch()
    theirs, soft = reference(agent)
    adam = torch.optim.Adam(theirs.parameters(), lr=LR)
    optimizer = agent.configure_optimizers()
    for _ in range(10):
        agent._update(optimizer.tensors(), *data, measure=False)
        losses = theirs(as_tensordict(*data))
        adam.zero_grad()
        (losses["loss_value"] + losses["loss_actor"]).backward()
        adam.step()
        soft.step()
    for mine, their in zip(trained(agent), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-6)
    their_targets = theirs.target_value_network_params
    for name, mine in agent.target_critic.named_parameters():
        torch.testing.assert_close(mine.data, their_targets["module", *name.split(".")].data, rtol=1e-4, atol=1e-6)


def trained(agent):
    return [*agent.actor.parameters(), *agent.critic.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [pytest.param("compiled", marks=pytest.mark.long), "PyTorch's own"])
def test_the_compiled_update_is_the_eager_one(kernels, request):
    if kernels != "compiled":
        request.getfixturevalue("uncompiled_kernels")
    eager, compiled, data = make(), make(), batch()
    compiled.compile()
    states = eager.configure_optimizers().tensors(), compiled.configure_optimizers().tensors()
    for _ in range(5):
        wanted = eager.update(states[0], *data, measure=True)
        found = compiled.update(states[1], *data, measure=True)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_only_termination_ends_the_future():
    agent, (observation, action, reward, next_observation, _) = make(), batch()
    ended, going_on = torch.ones_like(reward, dtype=torch.bool), torch.zeros_like(reward, dtype=torch.bool)
    value = agent.critic(observation, action)
    at_end = agent.losses(observation, action, reward, next_observation, ended)[0]
    torch.testing.assert_close(at_end, (value - reward).square().mean())
    future = GAMMA * agent.target_critic(next_observation, agent.target_actor(next_observation))
    on_the_way = agent.losses(observation, action, reward, next_observation, going_on)[0]
    torch.testing.assert_close(on_the_way, (value - reward - future).square().mean())


def test_scaled_rewards_are_the_same_problem_in_other_units():
    data = batch()
    ended = torch.ones_like(data[-1])
    scaled, plain = make(reward_scale=0.1), make()
    by_hand = plain.losses(*data[:2], 0.1 * data[2], data[3], ended)
    torch.testing.assert_close(scaled.losses(*data[:-1], ended), by_hand)


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
@torch._dynamo.config.patch(recompile_limit=2)  # eight, of which each would take a second
def test_many_compiled_agents_live_in_one_process():
    data = batch()
    for gamma in (0.9, 0.95, 0.99):
        agent = make(gamma=gamma)
        agent.compile()
        agent.update(agent.configure_optimizers().tensors(), *data, measure=True)


def test_discrete_actions_are_refused():
    with pytest.raises(BadSetting, match="ddpg needs continuous actions, found 2 discrete ones"):
        DDPG(env="CartPole-v1", observation_size=4, action={"count": 2})


def test_bfloat16_learns_from_the_newest_weights():
    """Autocast may keep casts of weights: an update that does not see the one before it would repeat its gradient."""
    agent, data = make(), batch()
    optimizer = agent.configure_optimizers()
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        measured = [agent._update(optimizer.tensors(), *data, measure=True) for _ in range(3)]
    assert all(torch.isfinite(value) for row in measured for value in row.values())
    losses = [float(row["loss/critic"]) for row in measured]
    assert losses[0] != losses[1] != losses[2]
    assert all(parameter.dtype == torch.float32 for parameter in agent.parameters())


def train(seed=0, **settings):
    seed_everything(seed, workers=True, verbose=False)
    torch.set_num_threads(1)
    data = ReplayData("Pendulum-v1", **({"total_steps": 400, "learning_starts": 200, "batch_size": 32} | settings))
    agent = DDPG(**data.facts(), hidden=[16, 16], lr=LR, noise="ornstein_uhlenbeck")
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(**data.trainer_defaults(), **quiet, accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data)
    return agent, data


@pytest.mark.long
def test_one_seed_gives_one_set_of_weights_and_another_seed_another():
    first, again, other = (train(seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
def test_counters_count_steps_and_updates():
    agent, data = train(updates_per_step=0.5)
    assert data.env_steps == 400
    assert agent.env_steps == 400
    assert int(agent.updates) == (400 - 200) // 50 * 25


@pytest.mark.slow
def test_a_memory_mapped_buffer_learns_the_same():
    in_memory, on_disk = train()[0].state_dict(), train(storage="memmap")[0].state_dict()
    assert all(torch.equal(in_memory[name], on_disk[name]) for name in in_memory)
