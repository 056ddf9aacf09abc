"""PPO: both objectives against torchrl's, its penalty, its settings, and that it learns."""

import copy

import pytest
import torch
from lightning import Trainer, seed_everything
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torchrl.modules import IndependentNormal, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, KLPENPPOLoss

from lab.errors import BadSetting
from lab.rl.common.on_policy import EPS, Experience
from lab.rl.data.rollout import RolloutData
from lab.rl.ppo import PPO

ENTROPY, VALUE = 0.02, 0.5
ACTIONS = {"continuous": {"low": [-2.0, -1.0], "high": [2.0, 1.0]}, "discrete": {"count": 3}}


class Parameters(torch.nn.Module):
    """Our policy with its parameters named as torchrl's distributions want them."""

    def __init__(self, policy, continuous):
        super().__init__()
        self.policy, self.continuous = policy, continuous

    def forward(self, observation):
        found = self.policy(observation)
        if not self.continuous:
            return found
        mean, log_std = found.chunk(2, -1)
        return mean, log_std.exp()


def make(kind, **settings):
    torch.manual_seed(0)
    agent = PPO(
        "some", observation_size=4, action=ACTIONS[kind], num_envs=4, num_steps=8, batch_size=32, hidden=[16, 16],
        entropy_coef=ENTROPY, value_coef=VALUE, **settings,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in agent.groups()[0]:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return agent


def experience(agent, size=32):
    """A batch from a policy that is a little different from the agent's."""
    torch.manual_seed(1)
    old = copy.deepcopy(agent.policy)
    with torch.no_grad():
        for parameter in old.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        observation = torch.randn(size, 4)
        parameters = old(observation)
        action = old.sample(parameters, old.noise(size))
    return observation, action, torch.randn(size), torch.randn(size), parameters, old.log_prob(parameters, action)


def test_a_value_is_that_of_the_next_row_but_for_ends():
    agent, seen = make("discrete"), []
    following = torch.randn(4, 3, 4)
    done = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
    terminated = done & torch.tensor([True, True, False])  # the last environment cuts its episodes off
    observation = torch.cat([torch.randn(1, 3, 4), following[:-1].where(~done[:-1].unsqueeze(-1), torch.tensor(0.5))])
    steps = TensorDict({"next": {"observation": following, "done": done, "terminated": terminated}}, [4, 3])
    agent.critic.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        found = agent.future(agent.value(observation), steps["next"])
        wanted = agent.value(following)
    assert seen == [4, 1, 1, 4]  # of all rows, the last one, an end that was cut off, and all again
    torch.testing.assert_close(found[~terminated], wanted[~terminated])


def reference(agent, kind, penalty=False, **settings):
    """torchrl's loss over copies of the same networks."""
    continuous = kind == "continuous"
    keys = ["loc", "scale"] if continuous else ["logits"]
    actor = ProbabilisticActor(
        TensorDictModule(Parameters(copy.deepcopy(agent.policy), continuous), ["observation"], keys),
        in_keys=keys,
        distribution_class=IndependentNormal if continuous else torch.distributions.Categorical,
    )
    critic = ValueOperator(copy.deepcopy(agent.critic), in_keys=["observation"])
    kind_of_loss = KLPENPPOLoss if penalty else ClipPPOLoss
    return kind_of_loss(
        actor, critic, entropy_coeff=ENTROPY, critic_coeff=VALUE, loss_critic_type="l2", normalize_advantage=True,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("normalize", [False, True])
def test_an_actor_samples_from_the_policy(normalize):
    agent = make("continuous", normalize_observations=normalize)
    if agent.observation_norm is not None:
        agent.observation_norm.update(3 * torch.randn(50, 4) + 1)
    observation, noise = torch.randn(6, 4), agent.noise(6)
    action, env_action = agent.actor()(observation, noise, torch.zeros(6, dtype=torch.bool))
    expected = agent.policy.sample(agent.policy(agent.normalize(observation)), noise)
    assert torch.equal(action, expected)
    assert torch.equal(env_action, agent.policy.env_action(expected))


def as_tensordict(kind, observation, action, advantage, target, parameters, log_prob):
    old = (
        dict(zip(("loc", "scale"), spread(parameters), strict=True)) if kind == "continuous" else {"logits": parameters}
    )
    columns = {"observation": observation, "action": action, "action_log_prob": log_prob, **old}
    return TensorDict(columns | {"advantage": advantage[:, None], "value_target": target[:, None]}, [len(target)])


def losses(agent, observation, *rest):
    return agent.losses(*agent.policy_and_value(observation), *rest)


@pytest.mark.parametrize("objective", ["clip", "kl"])
@pytest.mark.parametrize("kind", ACTIONS)
def test_losses_and_gradients_are_those_of_torchrl(kind, objective):
    agent = make(kind, objective=objective)
    data = experience(agent)
    agent.beta.fill_(0.7)
    if objective == "clip":
        theirs = reference(agent, kind, clip_epsilon=agent.clip_range)
    else:  # on target beta stays: torchrl changes it before the backward pass, whose gradient has the new one
        target = agent.policy.kl_divergence(data[4], agent.policy(data[0])).mean().item()
        theirs = reference(agent, kind, penalty=True, beta=0.7, dtarg=target)
    found = theirs(as_tensordict(kind, *data))
    policy, value, entropy = losses(agent, *data)
    torch.testing.assert_close(policy, found["loss_objective"])
    torch.testing.assert_close(VALUE * value, found["loss_critic"])
    torch.testing.assert_close(entropy, found["entropy"])
    ours = torch.autograd.grad(policy + VALUE * value - ENTROPY * entropy, agent.groups()[0])
    (found["loss_objective"] + found["loss_critic"] + found["loss_entropy"]).backward()
    their_names = {name.replace(".", "_"): each.grad for name, each in theirs.named_parameters()}
    names = [f"actor_network_params.module.0.module.policy.{name}" for name, _ in agent.policy.named_parameters()]
    names += [f"critic_network_params.module.{name}" for name, _ in agent.critic.named_parameters()]
    for name, gradient in zip(names, ours, strict=True):
        torch.testing.assert_close(gradient, their_names[name.replace(".", "_")], rtol=1e-4, atol=1e-6)


def test_updates_are_those_of_torch_with_clipped_gradients():
    agent = make("discrete", max_grad_norm=0.1, lr=1e-2)
    other, data = copy.deepcopy(agent), experience(agent)
    optimizer, adam = agent.configure_optimizers(), torch.optim.Adam(other.groups()[0], lr=1e-2, eps=EPS)
    for _ in range(5):
        agent._update(optimizer.tensors(), *data)
        policy, value, entropy = losses(other, *data)
        adam.zero_grad()
        (policy + VALUE * value - ENTROPY * entropy).backward()
        assert torch.nn.utils.clip_grad_norm_(other.groups()[0], 0.1) > 0.1
        adam.step()
    for mine, theirs in zip(agent.groups()[0], other.groups()[0], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ACTIONS)
def test_what_is_logged_are_means_of_the_last_pass(kind):
    agent = make(kind, objective="kl", update_epochs=3, clip_range=0.05)
    data, seen, update = experience(agent, 64), [], agent.update

    def keep(state, *batch):
        parameters = agent.policy(batch[0]).detach()
        seen.append((batch, parameters, update(state, *batch)))
        return dict(seen[-1][-1])

    agent.update = keep
    found = agent.learn(Experience(*data[:5]), agent.configure_optimizers().tensors())
    batches, new, measured = zip(*seen[-2:], strict=True)
    assert len(seen) == agent.updates == 6
    torch.testing.assert_close(found["loss/value"], torch.stack([each["loss/value"] for each in measured]).mean())
    _, action, *_, old, log_prob = (torch.cat(columns) for columns in zip(*batches, strict=True))
    if kind == "continuous":
        pair = [torch.distributions.Normal(*half) for half in (spread(old), spread(torch.cat(new)))]
    else:
        pair = [torch.distributions.Categorical(logits=logits) for logits in (old, torch.cat(new))]
    divergence = torch.distributions.kl_divergence(*pair).view(64, -1).sum(-1)
    ratio = (pair[1].log_prob(action).view(64, -1).sum(-1) - log_prob).exp()
    torch.testing.assert_close(found["policy/kl"], divergence.mean())
    torch.testing.assert_close(found["policy/clip_fraction"], ((ratio - 1).abs() > 0.05).float().mean())
    assert 0 < found["policy/clip_fraction"] < 1
    assert found["policy/beta"] == (2.0 if found["policy/kl"] > 1.5 * agent.target_kl else 0.5)


def spread(parameters):
    mean, log_std = parameters.chunk(2, -1)
    return mean, log_std.exp()


def test_the_penalty_grows_where_the_policy_moved_too_far():
    agent = make("discrete", objective="kl", target_kl=0.01)
    for divergence, beta in ((0.016, 2.0), (0.01, 2.0), (0.016, 4.0), (0.006, 2.0), (0.001, 1.0)):
        agent.adapt(torch.tensor(divergence))
        assert agent.beta == beta


def test_compiling_pays_in_long_runs():
    rollouts = {"num_envs": 4, "num_steps": 8}  # of one minibatch each, in ten passes
    for total_steps, pays in ((640_000, True), (639_968, False)):
        assert make("continuous").compile_pays(RolloutData("Pendulum-v1", total_steps=total_steps, **rollouts)) == pays


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
def test_the_compiled_update_is_the_eager_one():
    eager, compiled = make("continuous"), make("continuous")
    data = experience(eager)
    compiled.compile()
    states = eager.configure_optimizers().tensors(), compiled.configure_optimizers().tensors()
    for _ in range(3):
        wanted, found = eager.update(states[0], *data), compiled.update(states[1], *data)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [
        (64, "64 is larger than a rollout of 4 environments times 8 steps"),
        (20, "does not divide a rollout of 32 steps"),
    ],
)
def test_a_minibatch_has_to_fit_the_rollout(batch_size, message):
    with pytest.raises(BadSetting, match=f"batch_size: .*{message}"):
        PPO("some", observation_size=4, action={"count": 2}, num_envs=4, num_steps=8, batch_size=batch_size)


@pytest.mark.slow
def test_it_learns_to_balance_a_pole():
    seed_everything(102, workers=True, verbose=False)
    torch.set_num_threads(1)
    data = RolloutData("CartPole-v1", total_steps=40_000, num_envs=8, num_steps=64, eval_every=40_000)
    agent = PPO(**data.facts(), lr=1e-3, final_lr=0.0, gamma=0.98, gae_lambda=0.9, batch_size=256)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(**data.trainer_defaults(), **quiet, accelerator="cpu")
    trainer.fit(agent, datamodule=data)
    assert trainer.callback_metrics["val/return"] > 200  # chance is 22
