"""DQN and its switches: losses against torchrl's, each part against a plain loop, exploration, and exact resumes."""

import copy
import itertools

import processes
import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from test_resume import Load, Save, equal, weights
from torch import nn
from torchrl.modules import DistributionalQValueActor, QValueActor
from torchrl.modules import NoisyLinear as TheirNoisyLinear
from torchrl.objectives import DistributionalDQNLoss, DQNLoss, SoftUpdate

import lab
from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG
from lab.rl.dqn import DQN, project
from lab.rl.networks.q_network import NoisyLinear, QNetwork

GAMMA, LR, ACTIONS = 0.9, 3e-3, 3
FACTS = {"env": "Acrobot-v1", "observation_size": 6, "action": {"count": ACTIONS}}
RAINBOW = {"double": True, "dueling": True, "noisy": True, "distributional": True, "num_atoms": 11}
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


def make(**settings):
    torch.manual_seed(0)
    agent = DQN(**FACTS, **({"gamma": GAMMA, "lr": LR, "hidden": [16, 16], "v_min": -3.0, "v_max": 3.0} | settings))
    for parameter in agent.target.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))  # a target that differs, so that mixing them up shows
    return agent


def batch(agent, size=32, seed=1):
    """What `update_inputs` makes of a batch whose returns are over 1 to 3 steps, and the same for torchrl."""
    generator = torch.Generator().manual_seed(seed)
    terminated = torch.rand(size, 1, generator=generator) < 0.3
    following = {
        "observation": torch.randn(size, 6, generator=generator),
        "reward": torch.randn(size, 1, generator=generator),
        "terminated": terminated,
    }
    held = {
        "observation": torch.randn(size, 6, generator=generator),
        "action": torch.randint(ACTIONS, (size,), generator=generator),
        "next": following,
        "steps": torch.randint(1, 4, (size, 1), generator=generator),
        "priority_weight": torch.ones(size),
    }
    held = TensorDict(held, [size])
    columns = [column[0] for column in agent.update_inputs(held[None])]
    theirs = held.rename_key_("steps", "steps_to_next_obs")
    theirs["next", "done"] = terminated
    return columns, theirs


class Turned(nn.Module):
    """torchrl has atoms before actions, and takes logarithms of probabilities."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, observation):
        return self.network(observation).log_softmax(-1).transpose(-1, -2)


def reference(agent):
    """torchrl's loss over the same networks."""
    network = copy.deepcopy(agent.network)
    if agent.distributional:
        held = TensorDictModule(Turned(network), ["observation"], ["action_value"])
        actor = DistributionalQValueActor(
            held, support=agent.support, in_keys=["observation"], action_space="categorical"
        )
        loss = DistributionalDQNLoss(actor, gamma=GAMMA, delay_value=True)
        path = ("module", "0", "module", "network")
    else:
        actor = QValueActor(nn.Sequential(network, nn.Flatten(-2)), in_keys=["observation"], action_space="categorical")
        settings = {"loss_function": "smooth_l1", "delay_value": True, "double_dqn": agent.double_q}
        loss = DQNLoss(actor, action_space="categorical", **settings)
        loss.make_value_estimator(gamma=GAMMA)
        path = ("module", "0", "module", "0")
    soft = SoftUpdate(loss, tau=0.02)  # makes the targets equal to the network, so the target is loaded after it
    for name, value in agent.target.named_parameters():
        loss.target_value_network_params[(*path, *name.split("."))].copy_(value)
    return loss, soft, path


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("kind", [{}, {"double": True}, {"double": True, "distributional": True}])
def test_losses_and_gradients_are_those_of_torchrl(kind, dueling):
    agent = make(dueling=dueling, **kind)
    ours, theirs = batch(agent)
    loss = reference(agent)[0]
    wanted = loss(theirs)["loss"]
    found, errors, _ = agent.loss(*ours)
    torch.testing.assert_close(found, wanted)
    wanted.backward()
    gradients = torch.autograd.grad(found, list(agent.network.parameters()))
    trained = [parameter for parameter in loss.parameters() if parameter.grad is not None]
    for mine, other in zip(gradients, trained, strict=True):
        torch.testing.assert_close(mine, other.grad, rtol=1e-4, atol=1e-6)
    if not agent.distributional:  # torchrl's priority is the square
        torch.testing.assert_close(errors.square(), theirs["td_error"].squeeze(-1), rtol=1e-4, atol=1e-6)


def test_the_loss_of_quantiles_is_the_plain_double_sum():
    agent = make(quantile=True, num_quantiles=5, double=True)
    (observation, action, reward, following, terminated, discount, noise, weight), _ = batch(agent)
    found, errors, value = agent.loss(observation, action, reward, following, terminated, discount, noise, weight)
    best = agent.network(following).mean(-1).argmax(-1)
    total, rows = 0.0, torch.arange(len(action))
    said, ahead = agent.network(observation)[rows, action], agent.target(following)[rows, best]
    goal = reward + discount * ~terminated * ahead
    for row in range(len(action)):
        for number in range(5):
            for atom in goal[row]:
                gap = float(atom - said[row, number])
                huber = 0.5 * gap**2 if abs(gap) <= 1 else abs(gap) - 0.5
                total += float(weight[row]) * abs((number + 0.5) / 5 - (gap < 0)) * huber / 5
    assert float(found) == pytest.approx(total / len(action), rel=1e-4)
    torch.testing.assert_close(errors, (said.mean(-1) - goal.mean(-1)).abs())
    torch.testing.assert_close(value, agent.network(observation).mean())
    torch.testing.assert_close(agent.values(agent.network(observation)), agent.network(observation).mean(-1))


@pytest.mark.parametrize("kind", [{}, {"double": True, "distributional": True}])
def test_ten_updates_are_those_of_torchrl_with_adam_and_soft_update(kind):
    agent = make(tau=0.02, target_update_interval=1, **kind)
    ours, data = batch(agent)
    theirs, soft, path = reference(agent)
    adam, state = torch.optim.Adam(theirs.parameters(), lr=LR), agent.configure_optimizers().tensors()
    for number in range(10):
        agent._update(state, *ours, measure=False, **agent.update_flags(number))
        adam.zero_grad()
        theirs(data)["loss"].backward()
        adam.step()
        soft.step()
    for name, mine in agent.network.named_parameters():
        torch.testing.assert_close(
            mine.data, theirs.value_network_params[(*path, *name.split("."))].data, rtol=1e-3, atol=1e-5
        )
    for name, mine in agent.target.named_parameters():
        their = theirs.target_value_network_params[(*path, *name.split("."))]
        torch.testing.assert_close(mine.data, their.data, rtol=1e-3, atol=1e-5)


def test_goals_are_those_of_a_loop():
    """y = r + gamma^n (1 - d) Q'(s', argmax), the argmax by the target network, or by the network if it is double."""
    for double in (False, True):
        agent = make(double=double)
        (observation, action, reward, next_observation, terminated, discount, *_), _ = batch(agent)
        values, following = agent.network(observation).squeeze(-1), agent.target(next_observation).squeeze(-1)
        judge = agent.network(next_observation).squeeze(-1) if double else following
        wrong = []
        for row in range(len(reward)):
            future = 0.0 if terminated[row] else discount[row] * following[row, judge[row].argmax()]
            wrong.append((values[row, action[row]] - reward[row] - future).abs())
        torch.testing.assert_close(agent.loss(*batch(agent)[0])[1], torch.cat(wrong).detach())


def test_weights_of_the_samples_weigh_the_loss():
    agent = make()
    (*columns, noise, ones), _ = batch(agent)
    each = [agent.loss(*(column[row : row + 1] for column in columns), noise, ones[:1])[0] for row in range(32)]
    weight = torch.rand(32)
    torch.testing.assert_close(agent.loss(*columns, noise, weight)[0], (torch.stack(each) * weight).mean())


@pytest.mark.parametrize("kind", [{}, {"distributional": True}, {"quantile": True, "num_quantiles": 5}])
def test_samples_without_weights_weigh_the_same_and_have_no_errors(kind):
    agent = make(**kind)
    (*columns, ones), _ = batch(agent)
    (loss, errors, value), (weighted, _, same) = agent.loss(*columns), agent.loss(*columns, ones)
    assert loss == weighted
    assert value == same
    assert errors is None
    assert "errors" not in agent._update(agent.configure_optimizers().tensors(), *columns, measure=True)


def by_loop(probability, returns, support):
    """Bellemare et al. 2017, algorithm 1."""
    spacing, projected = support[1] - support[0], torch.zeros_like(probability)
    for row, atom in itertools.product(range(len(probability)), range(len(support))):
        place = ((returns[row, atom].clamp(support[0], support[-1]) - support[0]) / spacing).item()
        low, high = int(place), min(int(place) + 1, len(support) - 1)
        projected[row, low] += probability[row, atom] * (1 - (place - low))
        projected[row, high] += probability[row, atom] * (place - low)
    return projected


def test_the_projection_is_that_of_a_loop():
    torch.manual_seed(0)
    support = torch.linspace(-2, 3, 11)
    probability, reward = torch.randn(40, 11).softmax(-1), torch.randn(40, 1)
    returns = reward + 0.9 * support * (torch.rand(40, 1) < 0.7)
    returns[:5] = support  # falls on the atoms
    found = project(probability, returns, support)
    torch.testing.assert_close(found, by_loop(probability, returns, support), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum(-1), torch.ones(40))
    torch.testing.assert_close(found[:5], probability[:5], rtol=1e-4, atol=1e-5)


def test_a_noisy_layer_is_that_of_torchrl():
    ours, theirs = NoisyLinear(5, 4), TheirNoisyLinear(5, 4, use_exploration_type=False)
    names = {"weight": "weight_mu", "bias": "bias_mu", "weight_sigma": "weight_sigma", "bias_sigma": "bias_sigma"}
    theirs.load_state_dict({names[name]: value for name, value in ours.state_dict().items()}, strict=False)
    noise, x = torch.randn(9), torch.randn(7, 5)
    shaped = noise.sign() * noise.abs().sqrt()
    theirs.weight_epsilon.copy_(torch.outer(shaped[5:], shaped[:5]))
    theirs.bias_epsilon.copy_(shaped[5:])
    torch.testing.assert_close(ours(x, shaped), theirs(x))
    torch.testing.assert_close(ours(x), theirs.eval()(x))


def test_noise_of_the_weights_has_the_size_that_sigma_says():
    """The variance of an output is (0.5² / 4) (E|N|² sum x² + E|N|): the square of sign(N) sqrt|N| is |N|."""
    torch.manual_seed(0)
    network = QNetwork(4, 3, hidden=[8], sigma=0.5)
    layer, x = network.streams[0].layers[0], torch.tensor([1.0, -2.0, 0.5, 3.0])
    noise = torch.randn(40_000, network.noise_size)[:, :12]
    shaped = noise.sign() * noise.abs().sqrt()
    outputs = torch.vmap(lambda each: layer(x, each))(shaped).detach()
    size = (2 / torch.pi) ** 0.5
    wanted = 0.25 / 4 * (size**2 * x.square().sum() + size)
    torch.testing.assert_close(outputs.var(0), torch.full((8,), float(wanted)), rtol=0.1, atol=0)
    torch.testing.assert_close(outputs.mean(0), layer(x).detach(), rtol=0, atol=0.02)


def test_greedy_actions_have_no_noise_and_noisy_ones_do():
    agent = make(**RAINBOW)
    observation = torch.randn(200, 6)
    assert torch.equal(agent(observation), agent(observation))
    held = TensorDict({"observation": observation}, [200])
    drawn = [agent.explorer(held.clone())["action"] for _ in range(20)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])
    assert agent.explorer.epsilon == 0


def test_epsilon_is_the_share_of_random_actions():
    torch.manual_seed(0)
    agent = make()
    agent.explorer.epsilon.fill_(0.3)
    held = TensorDict({"observation": torch.randn(20_000, 6)}, [20_000])
    other = (agent.explorer(held)["action"] != agent(held["observation"])).float().mean()
    assert other == pytest.approx(0.3 * (ACTIONS - 1) / ACTIONS, abs=0.01)


@pytest.mark.parametrize("every", [1, 3])
def test_the_target_moves_when_it_is_due(every):
    agent = make(target_update_interval=every)
    (columns, _), state, moved = batch(agent), agent.configure_optimizers().tensors(), []
    for number in range(6):
        agent._update(state, *columns, measure=False)
        agent.after_update(number)
        pairs = zip(agent.network.parameters(), agent.target.parameters(), strict=True)
        moved.append(all(torch.equal(one, other) for one, other in pairs))
    assert moved == [(number + 1) % every == 0 for number in range(6)]


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
@pytest.mark.parametrize("settings", [{}, RAINBOW])
def test_the_compiled_update_is_the_eager_one(settings):
    eager, compiled = make(target_update_interval=2, **settings), make(target_update_interval=2, **settings)
    (columns, _), _ = batch(eager), compiled.compile()
    states = eager.configure_optimizers().tensors(), compiled.configure_optimizers().tensors()
    for number in range(4):
        wanted = eager.update(states[0], *columns, measure=True, **eager.update_flags(number))
        found = compiled.update(states[1], *columns, measure=True, **compiled.update_flags(number))
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
@pytest.mark.parametrize("changed", ["number", "rows"])
def test_a_compiled_update_notices_another_number_and_other_rows(changed):
    eager, compiled = make(max_grad_norm=10.0), make(max_grad_norm=10.0)
    (columns, _), _ = batch(eager), compiled.compile()
    states = eager.configure_optimizers().tensors(), compiled.configure_optimizers().tensors()
    for _ in range(2):
        for agent, state in zip((eager, compiled), states, strict=True):
            agent.update(state, *columns, measure=False)
        if changed == "number":
            eager.reward_scale = compiled.reward_scale = 3.0
        else:
            *sampled, noise, weight = columns
            columns = [*(column[:5] for column in sampled), noise, weight[:5]]
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


SHORT = {
    "total_steps": 300,
    "learning_starts": 100,
    "batch_size": 8,
    "eval_every": 130,
    "eval_episodes": 1,
    "train_freq": 10,
}


def train(callbacks=(), checkpoint=None, env="CartPole-v1", model=None, seed=0, compiled=False, **settings):
    seed_everything(seed if checkpoint is None else seed + 99, verbose=False)  # what is not restored shows
    data = ReplayData(env, **(SHORT | settings))
    agent = DQN(**data.facts(), hidden=[8], lr=1e-2, target_update_interval=7, **(model or {}))
    if compiled:
        agent.compile()
    trainer = Trainer(
        **data.trainer_defaults(), **QUIET, callbacks=[*callbacks], accelerator="cpu", limit_val_batches=1
    )
    trainer.fit(agent, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return agent, data


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain", marks=pytest.mark.long),
        pytest.param(
            {"n_step": 3, "prioritized": True, "buffer_size": 64, "model": RAINBOW},
            id="Rainbow, a ring",
        ),
        pytest.param(
            {"env": "Pendulum-v1", "num_action_bins": 5, "n_step": 3, "prioritized": True},
            id="bins",
            marks=pytest.mark.long,
        ),
    ],
)
def test_it_goes_on_to_the_same_bits(settings, tmp_path):
    agent, data = train([Save(tmp_path, [1, 8, "end 0"])], **settings)
    for moment in (1, 8, "end 0"):
        again, copied = train([Load(tmp_path)], tmp_path / f"{moment}.ckpt", **settings)
        assert equal(weights(again), weights(agent)), moment
        assert (copied.replay[:] == data.replay[:]).all()
        if data.priority:
            places = torch.arange(len(data.replay))
            assert torch.equal(copied.replay.sampler.leaves(places), data.replay.sampler.leaves(places))
            assert len(data.replay.sampler.leaves(places).unique()) > 10, "priorities came back"


@pytest.mark.slow
def test_a_batch_over_several_steps_stays_within_its_episodes():
    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, block, index):  # noqa: ARG002
            self.batches = block.steps

    watch = Watch()
    train([watch], n_step=3, total_steps=600)
    steps, terminated = watch.batches["steps"], watch.batches["next", "terminated"]
    sums = torch.tensor([1.0, 1.99, 1 + 0.99 + 0.99**2])  # every step pays 1
    torch.testing.assert_close(watch.batches["next", "reward"], sums[steps - 1])
    assert set(steps.unique().tolist()) == {1, 2, 3}
    assert terminated[steps < 3].any()


@pytest.mark.slow
def test_epsilon_falls_linearly():
    class Watch(Callback):
        def __init__(self):
            self.found = []

        def on_train_batch_end(self, trainer, module, outputs, block, index):  # noqa: ARG002
            self.found.append((block.env_steps, float(module.explorer.epsilon)))

    watch = Watch()
    train([watch], model={"epsilon": 0.9, "final_epsilon": 0.1, "exploration_fraction": 0.6})
    for steps, epsilon in watch.found:
        assert epsilon == pytest.approx(max(0.1, 0.9 - 0.8 * steps / 180))


@pytest.mark.parametrize("settings", [{"n_step": 3}, {"prioritized": True}])
def test_options_that_the_module_would_not_notice_are_refused(settings):
    data = ReplayData("Pendulum-v1", **SHORT, **settings)
    agent = DDPG(**data.facts(), hidden=[8])
    trainer = Trainer(**data.trainer_defaults(), **QUIET, accelerator="cpu")
    with pytest.raises(BadSetting, match="ddpg supports only uniform sampling of single steps") as error:
        trainer.fit(agent, datamodule=data)
    assert error.value.key == next(iter(settings))


def test_observations_are_divided_by_their_scale():
    scale = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    plain, scaled = make(), make(observation_scale=scale)
    columns, _ = batch(plain)
    divided = [column / torch.tensor(scale) if column.shape[-1] == 6 else column for column in columns]
    torch.testing.assert_close(scaled.loss(*columns), plain.loss(*divided))
    assert torch.equal(scaled(columns[0]), plain(divided[0]))


def test_a_scale_of_another_length_is_refused():
    with pytest.raises(BadSetting, match="observation_scale: 'Acrobot-v1' observes 6 numbers, found 2"):
        make(observation_scale=[1.0, 2.0])


def test_returns_that_are_none_are_refused():
    with pytest.raises(BadSetting, match="v_min: expected less than v_max"):
        make(distributional=True, v_min=1.0, v_max=1.0)
    with pytest.raises(BadSetting, match="quantile: distributional learns the same return on fixed atoms"):
        make(distributional=True, quantile=True)


@pytest.mark.long
def test_a_compiled_run_is_the_eager_one():
    """Its two graphs, with and without a move of the target, take turns as the updates do."""
    eager, compiled = (train(compiled=compiled, total_steps=130)[0] for compiled in (False, True))
    assert int(compiled.updates) == int(eager.updates) == 30
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


@pytest.mark.long
def test_two_processes_replay_by_priority_each_for_itself(tracked):
    short = ["data.total_steps=600", "data.learning_starts=200", "data.eval_every=200", "data.eval_episodes=1"]
    two = ["data.test_episodes=1", "trainer.strategy=ddp", "trainer.devices=2"]
    done = processes.lab(tracked, "run", "rainbow_cartpole", *short, *two)
    assert done.returncode == 0, done.stderr
    last = torch.load(*tracked.glob("mlruns/*/*/artifacts/checkpoints/last.ckpt"), weights_only=True)
    assert last["env_steps"] == 600
    assert last["state_dict"]["updates"] == 200, "two processes collect: half the blocks for the same steps"


@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "least"),
    [
        ("dqn_cartpole", 450),
        ("rainbow_cartpole", 450),
        ("dqn_pendulum", -170),
        ("noisy_dqn_pendulum", -170),
    ],
)
def test_reaches_the_score_of_its_header(recipe, least, tracked):
    result = lab.run(recipe, f"track.uri=sqlite:///{tracked}/mlflow.db")
    assert result.metrics["test/return"] >= least, "another machine rounds otherwise: less than was measured"
