"""TD3: its losses against torchrl's, the smaller critic, the clipped noise and the delayed actor."""

import copy

import torch
from tensordict.nn import TensorDictModule
from torchrl.objectives import TD3Loss

from lab.rl.networks.exploration import GaussianNoise, OrnsteinUhlenbeckNoise
from lab.rl.td3 import TD3
from tests.rl.peer import One, as_tensordict, load, transitions

GAMMA, TAU = 0.98, 0.02
FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": {"low": [-1.0], "high": [3.0]}}


def test_exploration_may_drift():
    assert type(make().explorer) is GaussianNoise
    explorer = make(noise="ornstein_uhlenbeck", sigma=0.5).explorer
    assert type(explorer) is OrnsteinUhlenbeckNoise
    assert explorer.scale.item() == 1.0  # of half the range, which is 2


def batch():
    return transitions(**FACTS["action"], noises=1)


def make(**settings):
    torch.manual_seed(0)
    agent = TD3(**FACTS, **({"gamma": GAMMA, "tau": TAU, "hidden": [32, 32]} | settings))
    for parameter in [*agent.target_actor.parameters(), *agent.target_critics.parameters()]:
        parameter.add_(0.05 * torch.randn_like(parameter))  # targets that differ, so that mixing them up shows
    return agent


def test_losses_and_gradients_are_those_of_torchrl(monkeypatch):
    agent, data = make(), batch()
    actor = TensorDictModule(copy.deepcopy(agent.actor), ["observation"], ["action"])
    critic = TensorDictModule(One(agent.critics), ["observation", "action"], ["state_action_value"])
    # torchrl's noises are in the action's own unit, ours in halves of its range, which is 2 here
    noises = {"policy_noise": 0.4, "noise_clip": 1.0, "bounds": (torch.tensor([-1.0]), torch.tensor([3.0]))}
    theirs = TD3Loss(actor, critic, loss_function="l2", **noises)
    theirs.make_value_estimator(gamma=GAMMA)
    load(theirs, actor_network_params=agent.actor, target_actor_network_params=agent.target_actor)
    load(theirs, qvalue_network_params=agent.critics, target_qvalue_network_params=agent.target_critics)
    *transition, noise = data
    monkeypatch.setattr(torch, "randn_like", lambda like: noise.view_as(like))
    found = theirs(as_tensordict(*transition))
    held = as_tensordict(*transition)[None]
    critic_loss, value = agent.critic_loss(*transition, agent.update_inputs(held)[-1][0])
    actor_loss = agent.actor_loss(*transition[:2])
    torch.testing.assert_close(critic_loss, found["loss_qvalue"])
    torch.testing.assert_close(actor_loss, found["loss_actor"])
    torch.testing.assert_close(value, found["pred_value"].mean())
    (found["loss_qvalue"] + found["loss_actor"]).backward()
    for loss, network, name in (
        (critic_loss, agent.critics, "qvalue_network_params"),
        (actor_loss, agent.actor, "actor_network_params"),
    ):
        keys, parameters = zip(*network.named_parameters(), strict=True)
        for key, mine in zip(keys, torch.autograd.grad(loss, parameters), strict=True):
            torch.testing.assert_close(mine, getattr(theirs, name)["module", *key.split(".")].grad)


def test_the_target_is_the_smaller_critic_at_a_smoothed_action_within_bounds():
    agent, (observation, action, reward, next_observation, terminated, noise) = make(), batch()
    noise = noise.sign()
    following = (agent.target_actor(next_observation) + noise).clamp(-1, 3)
    first, second = agent.target_critics(next_observation, following)
    goal = reward + GAMMA * torch.minimum(first, second) * (~terminated).float()
    wanted = sum((values - goal).square().mean() for values in agent.critics(observation, action))
    found, _ = agent.critic_loss(observation, action, reward, next_observation, terminated, noise)
    torch.testing.assert_close(found, wanted)


def test_actor_and_targets_wait_for_the_critics():
    agent, data = make(policy_delay=3), batch()
    state = agent.configure_optimizers().tensors()

    def copies():
        networks = (agent.actor, agent.critics, agent.target_actor, agent.target_critics)
        return [torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks]

    for number in range(6):
        before = copies()
        measured = agent._update(state, *data, measure=True, **agent.update_flags(number))
        moved = [not torch.equal(old, new) for old, new in zip(before, copies(), strict=True)]
        due = number in (2, 5)
        assert moved == [due, True, due, due]
        assert ("loss/actor" in measured) is due
        if due:
            expected = before[3] + TAU * (copies()[1] - before[3])
            torch.testing.assert_close(copies()[3], expected)
