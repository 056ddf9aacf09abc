"""One encoder of images for policy and critic: the same answers from one pass, and weights that fit no other agent."""

import pytest
import torch
from tensordict import TensorDict

from lab.errors import BadSetting, LabError
from lab.rl.a2c import A2C
from lab.rl.a3c import A3C
from lab.rl.ppo import PPO
from lab.rl.trpo import TRPO

SCREENS = [4, 44, 44]
PARTS = {"screen": {"bytes": [1, 40, 40]}, "speed": {"size": 2}, "action_mask": {"mask": 3}}
ROLLOUT = {"num_envs": 2, "num_steps": 8, "batch_size": 16}


def make(kind=PPO, observation_size=SCREENS, **settings):
    torch.manual_seed(0)
    given = ROLLOUT if kind is PPO else {"num_envs": 2}
    return kind("some", observation_size=observation_size, action={"count": 3}, hidden=[16], **given, **settings)


def observations(agent, count=16):
    torch.manual_seed(1)
    shape = agent.example_input_array.shape[1:]
    return torch.randint(256, (count, *shape), dtype=torch.uint8)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", [PPO, A2C])
def test_one_pass_says_what_policy_and_critic_say(kind, shared):
    agent, passes = make(kind, share_features_extractor=shared), []
    seen = observations(agent)
    for encoder in {agent.policy.net.encoder, agent.critic.encoder}:
        encoder.register_forward_hook(lambda *_: passes.append(1))
    parameters, value = agent.policy_and_value(seen)
    assert len(passes) == (1 if shared else 2)
    torch.testing.assert_close(parameters, agent.policy(seen))
    torch.testing.assert_close(value, agent.value(seen))


def test_a_rollout_passes_through_a_shared_encoder_once():
    agent, rows = make(), []
    shape = agent.example_input_array.shape[1:]
    ends = torch.tensor([[False, False], [True, False], [False, False]])  # one episode is cut off
    following = {"observation": observations(agent, 6).view(3, 2, *shape), "reward": torch.zeros(3, 2)}
    following |= {"terminated": ends & False, "done": ends}
    seen = observations(agent, 6).view(3, 2, *shape)
    steps = TensorDict({"observation": seen, "action": torch.zeros(3, 2), "next": following}, [3, 2])
    agent.policy.net.encoder.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0][..., 0, 0, 0].numel()))
    experience = agent.experience(steps)
    assert rows == [6, 2, 1], "all observations, the last ones, and where an episode was cut off"
    torch.testing.assert_close(experience.old, agent.policy(seen.flatten(0, 1)))


def test_a_mask_holds_behind_a_shared_encoder():
    agent = make(observation_size={"screen": {"bytes": [1, 40, 40]}, "action_mask": {"mask": 3}})
    seen = observations(agent)
    seen[:, :12] = torch.tensor([0.0, 1.0, 0.0]).view(torch.uint8)  # numbers come first: the mask
    parameters, _ = agent.policy_and_value(seen)
    assert agent.shares_encoder
    assert parameters.exp()[:, 1].allclose(torch.ones(16))


def test_both_losses_train_the_shared_encoder():
    agent = make(A2C)
    seen, action, target = observations(agent), torch.zeros(16, dtype=torch.int64), torch.ones(16)
    convolution = agent.policy.net.encoder.images[0].net[0].weight
    policy, value, _ = agent.losses(seen, action, target, target)
    both = torch.autograd.grad(policy + value, convolution)[0]
    policy = agent.policy.log_prob(agent.policy(seen), action).neg().mean()
    value = (agent.value(seen) - target).square().mean()
    each = [torch.autograd.grad(loss, convolution)[0] for loss in (policy, value)]
    assert all(gradient.abs().sum() > 0 for gradient in each)
    torch.testing.assert_close(both, sum(each), rtol=1e-4, atol=1e-6)


def test_shared_weights_are_stepped_once():
    for agent in (make(), make(A2C)):
        (group,) = agent.groups()
        assert len({id(weight) for weight in group}) == len(group)
        assert agent.policy.net.encoder is agent.critic.encoder
    for agent in (make(A3C), make(TRPO), make(share_features_extractor=False)):
        assert agent.policy.net.encoder is not agent.critic.encoder


def test_vectors_have_no_encoder_to_share():
    assert not make(observation_size=4).shares_encoder


def test_convolutions_begin_orthogonal():
    weight = make().policy.net.encoder.images[0].net[0].weight.flatten(1)  # 32 filters of 256 weights
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [PPO, A2C])
def test_a_dense_layer_is_behind_the_convolutions(kind):
    encoder = make(kind).policy.net.encoder
    assert encoder.width == 512
    assert make(kind, features_dim=None).policy.net.encoder.width == 64 * 2 * 2
    parts = make(kind, PARTS, features_dim=8).policy.net.encoder  # and beside it what is no image
    assert parts.width == 8 + 2
    seen = observations(make(kind)) / 255
    features = encoder.images[0].dense(encoder.images[0].net(seen)).relu()
    torch.testing.assert_close(encoder(observations(make(kind))), features, rtol=1e-4, atol=1e-5)
    weight = encoder.images[0].dense.weight  # (512, 256): its columns begin orthogonal
    torch.testing.assert_close(weight.T @ weight, 2 * torch.eye(256), rtol=1e-4, atol=1e-4)


def saved(agent):
    return {"env_steps": 0, "recent_returns": [], "hyper_parameters": {}, "state_dict": agent.state_dict()}


def test_weights_of_two_encoders_are_not_loaded_into_one():
    shared, own = make(), make(share_features_extractor=False)
    message = r"its encoder of images is another one; set model\.share_features_extractor=false$"
    with pytest.raises(LabError, match=message):
        shared.on_load_checkpoint(saved(own))
    with pytest.raises(BadSetting, match=message):
        shared.check_weights(own.state_dict())
    shared.check_weights({name: weight for name, weight in own.state_dict().items() if name.startswith("policy.")})
    for agent in (own, shared):  # two networks may begin with the weights that were one's
        agent.on_load_checkpoint(saved(shared))
        agent.load_state_dict(shared.state_dict())
    torch.testing.assert_close(own.value(observations(own)), shared.value(observations(own)))


def test_weights_with_another_dense_layer_are_refused():
    shared, plain, small = make(), make(share_features_extractor=False, features_dim=None), make(features_dim=8)
    both = r"set model\.share_features_extractor=false model\.features_dim=null$"
    for given, to, message in (
        (plain, shared, both),
        (small, shared, r"set model\.features_dim=8$"),
        (shared, plain, r"set model\.features_dim=512$"),
    ):
        with pytest.raises(LabError, match=message):
            to.on_load_checkpoint(saved(given))
    make(observation_size=4).check_weights(make(observation_size=4).state_dict())
