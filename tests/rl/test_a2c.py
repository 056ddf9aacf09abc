"""A2C: its loss and gradients against torchrl's, and that short rollouts learn."""

import copy
import math

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import A2CLoss

from lab.errors import LabError
from lab.rl.a2c import A2C, A2CRolloutData
from lab.rl.data.rollout import RolloutData
from tests.rl import points

ENTROPY, VALUE = 0.02, 0.4
SIZE = 12


def batch():
    generator = torch.Generator().manual_seed(1)
    observation, action = torch.randn(SIZE, 4, generator=generator), torch.randint(3, (SIZE,), generator=generator)
    return observation, action, torch.randn(SIZE, generator=generator), torch.randn(SIZE, generator=generator)


def test_losses_and_gradients_are_those_of_torchrl():
    torch.manual_seed(0)
    agent = A2C("some", 4, {"count": 3}, num_envs=4, hidden=[16], entropy_coef=ENTROPY, value_coef=VALUE)
    observation, action, advantage, target = batch()
    actor = ProbabilisticActor(
        TensorDictModule(copy.deepcopy(agent.policy), ["observation"], ["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
    )
    critic = ValueOperator(copy.deepcopy(agent.critic), in_keys=["observation"])
    theirs = A2CLoss(actor, critic, entropy_coeff=ENTROPY, critic_coeff=VALUE, loss_critic_type="l2")
    columns = {"observation": observation, "action": action, "advantage": advantage[:, None]}
    found = theirs(TensorDict(columns | {"value_target": target[:, None]}, [SIZE]))
    policy, value, entropy = agent.losses(observation, action, advantage, target)
    torch.testing.assert_close(policy, found["loss_objective"])
    torch.testing.assert_close(VALUE * value, found["loss_critic"])
    torch.testing.assert_close(-ENTROPY * entropy, found["loss_entropy"])
    ours = torch.autograd.grad(policy + VALUE * value - ENTROPY * entropy, agent.groups()[0])
    (found["loss_objective"] + found["loss_critic"] + found["loss_entropy"]).backward()
    for mine, other in zip(ours, (each.grad for each in theirs.parameters()), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(
    ("settings", "there"), [({}, [[0.5, 0.5], [3.0, 40.0]]), ({"scale_actions": True}, [[1.5, 0.5], [3.0, 40.0]])]
)
def test_actions_are_the_environments_own_unless_they_are_scaled(settings, there):
    bounds = {"low": [-3.0, -math.inf], "high": [3.0, math.inf]}
    policy = A2C("some", 4, bounds, num_envs=4, hidden=[16], **settings).policy
    assert policy.env_action(torch.tensor([[0.5, 0.5], [4.0, 40.0]])).tolist() == there
    assert policy.sample(torch.zeros(1, 4), torch.full((1, 2), 2.0)).tolist() == [[2.0, 2.0]]


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
def test_the_compiled_update_is_the_eager_one():
    def make():
        torch.manual_seed(0)
        return A2C("some", 4, {"count": 3}, num_envs=4, hidden=[16])

    observation, action, advantage, target = batch()
    data = (observation, action, advantage, target)
    eager, compiled = make(), make()
    compiled.compile()
    states = eager.configure_optimizers().tensors(), compiled.configure_optimizers().tensors()
    for _ in range(3):
        torch.testing.assert_close(compiled.update(states[1], *data), eager.update(states[0], *data))


@pytest.mark.long
def test_it_learns_to_balance_a_pole():
    seed_everything(100, workers=True, verbose=False)
    torch.set_num_threads(1)
    data = RolloutData("CartPole-v1", total_steps=50_000, num_envs=16, num_steps=8, eval_every=50_000)
    facts = {name: fact for name, fact in data.facts().items() if name != "num_steps"}
    agent = A2C(**facts, lr=2e-3, gamma=0.98, gae_lambda=0.95)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(**data.trainer_defaults(), **quiet, accelerator="cpu")
    trainer.fit(agent, datamodule=data)
    assert trainer.callback_metrics["val/return"] > 200  # chance is 22


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_several_rollouts_in_a_batch_give_the_weights_of_one_each(precision, monkeypatch):
    def train(batch_steps):
        monkeypatch.setattr(A2CRolloutData, "batch_steps", batch_steps)
        seed_everything(0, verbose=False)
        data = A2CRolloutData("CartPole-v1", total_steps=330, num_envs=2, eval_every=130, eval_episodes=1)
        facts = {key: value for key, value in data.facts().items() if key != "num_steps"}
        own = {"final_lr": 0.1, "normalize_observations": True, "normalize_rewards": True}
        agent = A2C(**facts, hidden=[8], lr=1e-2, **own)
        trainer = points.fit(agent, data, precision=precision)
        assert data.env_steps == agent.env_steps == 330
        return agent.state_dict(), trainer.global_step

    (one_each, updates), (several, batches) = train(0), train(100)
    assert (updates, batches) == (33, 5), "an epoch of 13 rollouts has a last batch of 3"
    for name, expected in one_each.items():
        assert torch.equal(several[name], expected), name


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_weights_that_act_in_another_unit_are_refused(env):
    data = A2CRolloutData(env, total_steps=30)
    facts = {key: value for key, value in data.facts().items() if key != "num_steps"}
    agent = A2C(**facts, hidden=[8])
    old = {
        "hyper_parameters": {},
        "env_steps": 0,
        "recent_returns": [],
        "state_dict": {},
    }  # from before there was a choice
    if env == "CartPole-v1":
        agent.on_load_checkpoint(old)
        return
    with pytest.raises(LabError, match=r"are scaled to \[-1, 1\]; add model.scale_actions=true"):
        agent.on_load_checkpoint(old)
    A2C(**facts, hidden=[8], scale_actions=True).on_load_checkpoint(old)
    with pytest.raises(LabError, match="are those of the environment; add model"):
        A2C(**facts, hidden=[8], scale_actions=True).on_load_checkpoint(old | {"hyper_parameters": dict(agent.hparams)})


@pytest.mark.slow
def test_a_run_with_shorter_batches_is_not_resumed(tmp_path, monkeypatch):
    def make():
        data = A2CRolloutData("CartPole-v1", total_steps=30, eval_every=20, eval_episodes=1)
        return A2C(**{key: value for key, value in data.facts().items() if key != "num_steps"}, hidden=[8]), data

    class Keep(Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.save_checkpoint(tmp_path / "old.ckpt")

    with monkeypatch.context() as before:
        before.setattr(A2CRolloutData, "batch_steps", 0)
        points.fit(*make(), [Keep()])
    agent, data = make()
    with pytest.raises(LabError, match="of an earlier version, whose batches were shorter"):
        Trainer(**(data.trainer_defaults() | points.QUIET), logger=False, accelerator="cpu").fit(
            agent, datamodule=data, ckpt_path=tmp_path / "old.ckpt"
        )
