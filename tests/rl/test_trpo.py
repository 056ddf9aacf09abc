"""TRPO: the bound it keeps, the direction it takes against one that was solved for directly, and that it improves."""

import copy

import pytest
import torch
from torch.func import functional_call

from lab.errors import BadSetting
from lab.rl.common.on_policy import Experience
from lab.rl.data.rollout import RolloutData
from lab.rl.trpo import TRPO, conjugate_gradients, flat

ACTIONS = {"continuous": {"low": [-2.0], "high": [2.0]}, "discrete": {"count": 3}}


def make(kind, **settings):
    torch.manual_seed(0)
    agent = TRPO("some", 4, ACTIONS[kind], num_envs=4, **({"hidden": [6]} | settings))
    with torch.no_grad():
        for weight in agent.policy.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return agent


def experience(agent, size=200):
    torch.manual_seed(1)
    observation = torch.randn(size, 4)
    with torch.no_grad():
        parameters = agent.policy(observation)
        action = agent.policy.sample(parameters, agent.policy.noise(size))
    return Experience(observation, action, torch.randn(size), torch.randn(size))


@pytest.mark.parametrize("kind", ACTIONS)
@pytest.mark.parametrize("target_kl", [0.001, 0.01, 0.5])
def test_a_step_is_better_and_keeps_the_bound(kind, target_kl):
    agent = make(kind, target_kl=target_kl)
    data, before = experience(agent), copy.deepcopy(agent.policy.state_dict())
    old = agent.policy(data.observation)
    measured = agent.learn(data, agent.configure_optimizers().tensors())
    divergence = agent.policy.kl_divergence(old, agent.policy(data.observation)).mean()
    torch.testing.assert_close(measured["policy/kl"], divergence.detach())
    assert 0.2 * target_kl < divergence <= target_kl
    assert measured["policy/gain"] > 0
    assert any(not torch.equal(value, before[name]) for name, value in agent.policy.state_dict().items())


def test_where_nothing_is_better_the_policy_stays():
    agent = make("discrete")
    data, before = experience(agent), copy.deepcopy(agent.policy.state_dict())
    agent.learn(data._replace(advantage=torch.ones(200)), agent.configure_optimizers().tensors())
    assert all(torch.equal(value, before[name]) for name, value in agent.policy.state_dict().items())


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_step_is_the_natural_gradient(kind):
    """The Fisher matrix from second derivatives of the divergence, the system solved directly; no line search."""
    agent = make(kind, target_kl=1e-5, cg_max_steps=200, cg_damping=0.1).double()
    columns = experience(agent.float())[:4]
    data = Experience(*(column.double() if column.is_floating_point() else column for column in columns))
    agent.double()
    policy = copy.deepcopy(agent.policy)
    names, sizes = zip(*((name, weight.shape) for name, weight in policy.named_parameters()), strict=True)
    start = flat([weight.detach() for weight in policy.parameters()])

    def parameters(vector):
        parts = vector.split([size.numel() for size in sizes])
        weights = {name: part.view(size) for name, part, size in zip(names, parts, sizes, strict=True)}
        return functional_call(policy, weights, (data.observation,))

    old = parameters(start).detach()
    advantage = (data.advantage - data.advantage.mean()) / data.advantage.std()

    def gain(vector):
        ratio = (policy.log_prob(parameters(vector), data.action) - policy.log_prob(old, data.action)).exp()
        return (ratio * advantage).mean()

    gradient = torch.autograd.functional.jacobian(gain, start)
    matrix = torch.autograd.functional.hessian(
        lambda vector: policy.kl_divergence(old, parameters(vector)).mean(), start
    )
    matrix += 0.1 * torch.eye(len(start), dtype=torch.float64)
    direction = torch.linalg.solve(matrix, gradient)
    expected = (2e-5 / (direction @ matrix @ direction)).sqrt() * direction
    agent.learn(data, agent.configure_optimizers().tensors())
    moved = flat([weight.detach() for weight in agent.policy.parameters()]) - start
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_conjugate_gradients_solve_a_system():
    torch.manual_seed(0)
    root = torch.randn(20, 20, dtype=torch.float64)
    matrix, goal = root @ root.T + torch.eye(20, dtype=torch.float64), torch.randn(20, dtype=torch.float64)
    found = conjugate_gradients(lambda vector: matrix @ vector, goal, 60)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, goal), rtol=1e-3, atol=1e-4)


def test_a_graph_is_refused():
    with pytest.raises(BadSetting, match="compile: trpo cannot be compiled"):
        make("discrete").compile()


def test_a_long_run_stays_eager():
    assert not make("continuous").compile_pays(RolloutData("Pendulum-v1", total_steps=100_000_000))
