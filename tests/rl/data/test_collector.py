"""The collector: torchrl's own scripts can use it, several environments, batches without lost steps, exact states."""

import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import BaseCollector
from torchrl.collectors.utils import split_trajectories
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.objectives import DDPGLoss, SoftUpdate

from lab.errors import BadSetting
from lab.rl.data.buffers.buffer import ReplayBuffer
from lab.rl.data.collector import ArrayCollector
from lab.rl.data.replay import ReplayData
from lab.rl.networks.exploration import OrnsteinUhlenbeckNoise

BOUNDS = {"low": [-2.0], "high": [2.0]}


class Value(nn.Linear):
    def forward(self, observation, action):
        return super().forward(torch.cat([observation, action], -1))


def test_a_script_of_torchrl_trains_with_it():
    torch.manual_seed(0)
    actor = TensorDictModule(nn.Linear(3, 1), ["observation"], ["action"])
    value = TensorDictModule(Value(4, 1), ["observation", "action"], ["state_action_value"])
    loss = DDPGLoss(actor, value)
    loss.make_value_estimator(gamma=0.9)
    targets, optimizer = SoftUpdate(loss, eps=0.9), torch.optim.Adam(loss.parameters())
    buffer = TensorDictReplayBuffer(storage=LazyTensorStorage(1_000), batch_size=16)
    settings = {"frames_per_batch": 60, "total_frames": 240, "init_random_frames": 30, "num_envs": 2}
    collector = ArrayCollector("Pendulum-v1", actor, **settings)
    assert isinstance(collector, BaseCollector)
    losses, earlier = [], None
    for batch in collector:
        assert batch.shape == (2, 30)
        if earlier is not None:
            assert torch.equal(batch["observation"][:, 0], earlier["next", "observation"][:, -1]), "time is last"
        earlier = batch
        buffer.extend(batch.reshape(-1))
        losses.append(sum(value for name, value in loss(buffer.sample()).items() if name.startswith("loss")))
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
        targets.step()
    assert len(losses) == 4
    assert collector.next() is None
    collector.shutdown()


def test_random_actions_end_where_they_should():
    class Still(nn.Linear):
        def forward(self, observation):
            return torch.zeros(*observation.shape[:-1], 1)

    policy = TensorDictModule(Still(3, 1), ["observation"], ["action"])
    collector = ArrayCollector("Pendulum-v1", policy, frames_per_batch=20, init_random_frames=25)
    actions = torch.cat([collector.next()["action"].flatten() for _ in range(2)])
    assert (actions[:25] != 0).all()
    assert (actions[25:] == 0).all()
    assert actions.abs().max() <= 2


def test_episodes_are_numbered_and_end_where_the_environment_says():
    torch.manual_seed(0)
    batch = ArrayCollector("CartPole-v1", None, frames_per_batch=300, num_envs=3).next()
    pieces = split_trajectories(batch, trajectory_key=("collector", "traj_ids"))
    ends = batch["next", "done"].squeeze(-1)  # (N, T)
    assert len(pieces) == int(ends.sum() + (~ends[:, -1]).sum()) > 6
    begins = pieces["observation"][:, 0]
    assert begins.abs().max() <= 0.05


def test_a_batched_environment_loses_no_step_and_adds_none():
    """Each step that is kept obeys the cart's equation of motion; a step that only begins an episode does not."""
    torch.manual_seed(0)
    collector = ArrayCollector("CartPole-v1", None, frames_per_batch=400, num_envs=4, vectorization="vector")
    steps = collector.collect()
    kept, ends = steps["collector", "mask"], steps["next", "done"]
    place, speed, *_ = steps["observation"].unbind(-1)
    moved = torch.isclose(steps["next", "observation"][..., 0], place + 0.02 * speed, atol=1e-6)
    assert torch.equal(moved, kept)
    assert ends.sum() > 8
    assert torch.equal(~kept[1:], ends[:-1]), "one step is left out after each end"
    assert not (ends & ~kept).any()
    assert int(steps["next", "reward"].sum()) == int(kept.sum())


@pytest.mark.parametrize(
    ("env", "vectorization"), [("Pendulum-v1", "sync"), ("CartPole-v1", "vector"), ("CartPole-v1", "sync")]
)
def test_a_collection_goes_on_exactly(env, vectorization):
    def made():
        torch.manual_seed(0)
        policy = None
        if env == "Pendulum-v1":
            policy = OrnsteinUhlenbeckNoise(nn.Linear(3, 1), BOUNDS, sigma=0.3)
        return policy, ArrayCollector(env, policy, frames_per_batch=90, num_envs=2, vectorization=vectorization)

    (policy, whole), (other, rest) = made(), made()
    whole.collect()
    state, random = whole.state_dict(), torch.get_rng_state()
    noise = policy.state.clone() if policy else None
    expected = [whole.collect() for _ in range(4)]
    if policy:
        other.state = noise
    rest.load_state_dict(state)
    torch.set_rng_state(random)
    for one in expected:
        again = rest.collect()
        assert (again == one).all()
    assert rest.returns == whole.returns


def test_sums_of_rewards_follow_one_environment_of_several():
    steps = torch.arange(12).reshape(6, 2)  # time, environment
    ended = torch.zeros(6, 2, dtype=torch.bool)
    ended[2, 1] = True
    columns = {
        "observation": steps[..., None].float(),
        "action": steps[..., None].float(),
        "next": {
            "observation": 100.0 + steps[..., None],
            "reward": steps.float(),
            "terminated": ended,
            "done": ended,
        },
        "collector": {"traj_ids": torch.tensor([[0, 1]] * 3 + [[0, 3]] * 3)},
    }
    buffer = ReplayBuffer(12, "memory", n_step=3, gamma=0.5, num_envs=2)
    buffer.extend(TensorDict(columns, [6, 2]).reshape(-1))
    torch.manual_seed(0)
    rows = buffer.sample(1, 200, 0.0)[0]
    for first, last, reward, number in zip(
        rows["observation"][:, 0], rows["next", "observation"][:, 0], rows["next", "reward"][:, 0], rows["steps"][:, 0],
        strict=True,
    ):  # fmt: skip
        start = int(first)
        end = min(start + 4, 10 + start % 2) if start % 2 == 0 or start > 5 else min(start + 4, 5)
        assert last == 100 + end
        assert number == (end - start) // 2 + 1
        assert reward == sum(value * 0.5**power for power, value in enumerate(range(start, end + 1, 2)))


@pytest.mark.parametrize(
    ("env", "settings", "message"),
    [
        ("Pendulum-v1", {"vectorization": "vector"}, "'Pendulum-v1' has no vector entry point; use sync"),
        ("CartPole-v1", {"vectorization": "vector", "n_step": 3}, "3 needs consecutive steps, which vector lacks"),
    ],
)
def test_batches_that_cannot_be_are_refused(env, settings, message):
    with pytest.raises(BadSetting, match=message):
        ReplayData(env, total_steps=500, **settings).facts()
