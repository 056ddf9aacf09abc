"""REINFORCE: its loss against torchrl's, which steps count without a baseline, and that it learns with and without."""

import copy

import pytest
import torch
from lightning import Trainer, seed_everything
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ReinforceLoss

from lab.rl.data.rollout import RolloutData
from lab.rl.reinforce import REINFORCE

SIZE = 12


def make(**settings):
    torch.manual_seed(0)
    return REINFORCE("some", 4, {"count": 3}, num_envs=2, hidden=[16], **settings)


def test_loss_and_gradient_are_those_of_torchrl():
    agent = make()
    torch.manual_seed(1)
    observation, action, advantage = torch.randn(SIZE, 4), torch.randint(3, (SIZE,)), torch.randn(SIZE)
    actor = ProbabilisticActor(
        TensorDictModule(copy.deepcopy(agent.policy), ["observation"], ["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
    )
    critic = ValueOperator(copy.deepcopy(agent.critic), in_keys=["observation"])
    theirs = ReinforceLoss(actor, critic)
    columns = {"observation": observation, "action": action, "advantage": advantage[:, None]}
    found = theirs(TensorDict(columns | {"value_target": advantage[:, None]}, [SIZE]))
    loss, _ = agent.loss(observation, action, advantage)
    torch.testing.assert_close(loss, found["loss_actor"])
    ours = torch.autograd.grad(loss, agent.groups()[0])
    found["loss_actor"].backward()
    for mine, other in zip(ours, (each.grad for each in theirs.actor_network_params.parameters()), strict=True):
        torch.testing.assert_close(mine, other)


def rollout(reward, terminated, done):
    shape = reward.shape
    following = {"observation": torch.randn(*shape, 4), "reward": reward, "terminated": terminated, "done": done}
    action = torch.zeros(shape, dtype=torch.int64)
    return TensorDict({"observation": torch.randn(*shape, 4), "action": action, "next": following}, shape)


def test_without_a_baseline_a_step_weighs_what_came_after_it():
    agent = make(baseline=False, normalize_returns=False, gamma=0.5)
    reward = torch.tensor([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0], [64.0, 128.0]])  # four steps of two environments
    done = torch.tensor([[False, False], [True, False], [False, False], [False, True]])
    found = agent.experience(rollout(reward, done & False, done)).advantage.view(4, 2)
    whole = torch.tensor([[1 + 2.0, 2 + 4 + 8 + 16.0], [4, 8 + 16 + 32.0], [0, 32 + 64.0], [0, 128.0]])
    torch.testing.assert_close(found, whole * 8 / 6)  # two steps of an episode that is under way do not count


def test_without_a_baseline_there_is_no_critic():
    agent = make(baseline=False)
    assert not any(name.startswith("critic") for name in agent.state_dict())
    assert len(agent.groups()) == 1


def test_a_baseline_bootstraps_and_is_taken_off():
    agent = make(normalize_returns=False, gamma=0.5)
    reward, over = torch.ones(2, 2), torch.zeros(2, 2, dtype=torch.bool)
    steps = rollout(reward, over, over)
    value, last = agent.value(steps["observation"]), agent.value(steps["next", "observation"][-1])
    returns = torch.stack([1 + 0.5 * (1 + 0.5 * last), 1 + 0.5 * last])
    torch.testing.assert_close(agent.experience(steps).advantage.view(2, 2), returns - value)


@pytest.mark.long
@pytest.mark.parametrize("baseline", [True, False])
def test_it_learns_to_balance_a_pole(baseline):
    seed_everything(100, workers=True, verbose=False)
    torch.set_num_threads(1)
    data = RolloutData(
        "CartPole-v1", total_steps=60_000, num_envs=8, num_steps=500, reset_each_rollout=True, eval_every=60_000
    )
    facts = {name: fact for name, fact in data.facts().items() if name != "num_steps"}
    agent = REINFORCE(**facts, baseline=baseline)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(**data.trainer_defaults(), **quiet, accelerator="cpu")
    trainer.fit(agent, datamodule=data)
    assert trainer.callback_metrics["val/return"] > 100  # 306 or more with six seeds; chance is 22
