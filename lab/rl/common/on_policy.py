"""Shared by agents that learn from their latest actions only: acting, advantages, a rollout as one optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from tensordict import TensorDictBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting, LabError
from lab.networks import initialize
from lab.rl.common import adam
from lab.rl.common import plots as pictures
from lab.rl.common.advantage import gae
from lab.rl.common.learner import Learner, clip_
from lab.rl.common.processes import average
from lab.rl.data.rollout import Rollout, RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks import policies
from lab.rl.networks.encoder import Encoder, dense_size, encoded, example_input
from lab.rl.networks.exploration import Act
from lab.rl.networks.normalization import RewardNorm, observation_normalization
from lab.rl.networks.sampling import SamplingPolicy

ENCODER = "policy.net.encoder."  # the names of its weights begin so
EPS = 1e-5  # Adam's, ten times torch's: the figure in Schulman's code, and in all that compare themselves with it


class Experience(NamedTuple):
    """A rollout as an update wants it: M = T * N steps in no order, nothing of it with a gradient.

    >>> M = 6
    >>> experience = Experience(torch.zeros(M, 3), torch.zeros(M, 1), advantage=torch.ones(M), target=torch.zeros(M))
    >>> Experience(*(column[:4] for column in experience if column is not None)).observation.shape  # a minibatch
    torch.Size([4, 3])

    Args:
        observation: (M, O), normalised where the agent does that.
        action: (M, A), or (M,) of discrete ones.
        advantage: of each action, (M,).
        target: of the critic, (M,).
        old: parameters of the policy that acted, (M, P), for agents that compare theirs with it.
    """

    observation: Tensor
    action: Tensor
    advantage: Tensor
    target: Tensor
    old: Tensor | None = None


class OnPolicy(Learner):
    """An agent with a stochastic policy and a critic; `learn` makes all the updates of one rollout.

    `entropy_coef` is the weight of an entropy bonus in the loss of those that have one.

    Args:
        observation_size: what an observation is; the length of a vector.
        action: bounds of a continuous action, or numbers of discrete actions.
        num_envs: environments in a rollout.
        lr: learning rate of Adam.
        gamma: discount of the return per step.
        gae_lambda: lambda of generalised advantage estimation: 1 uses returns only, 0 one-step errors of the critic.
        hidden: widths of the hidden layers of policy and critic.
        log_std_init: logarithm of the initial standard deviation of continuous actions, which are scaled to [-1, 1].
        normalize_observations: normalise observations to mean 0 and variance 1, with running statistics.
        normalize_rewards: divide rewards by the running standard deviation of the discounted return.
        scale_actions: scale continuous actions with bounds to [-1, 1].
        share_features_extractor: one encoder of images for policy and critic, not one for each.
        features_dim: neurons of a dense layer with ReLU behind the convolutions of images; None for none.
    """

    entropy_coef = 0.0
    averages_gradients = True
    eval_deterministic = True  # the data says it

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        lr: float,
        final_lr: float,
        gamma: float,
        gae_lambda: float,
        hidden: Sequence[int],
        log_std_init: float,
        normalize_observations: bool,
        normalize_rewards: bool,
        scale_actions: bool = True,
        share_features_extractor: bool = False,
        features_dim: int | None = None,
    ) -> None:
        super().__init__(env, lr, final_lr)
        self.gamma, self.gae_lambda = gamma, gae_lambda
        seen = self.features(observation_size)
        encoder = own = None if isinstance(seen, int) else Encoder(seen, features_dim)
        self.policy = policies.make_policy(seen, action, hidden, log_std_init, scale_actions, encoder)
        self.shares_encoder = share_features_extractor and encoder is not None
        if encoder is not None and not self.shares_encoder:
            own = Encoder(seen, features_dim)
        self.critic: nn.Module = encoded(seen, policies.orthogonal(hidden, 1, last_layer_gain=1.0), encoder=own)
        for each in filter(None, dict.fromkeys((encoder, own))):
            initialize(each, "orthogonal", math.sqrt(2))
        self.observation_norm = observation_normalization(observation_size) if normalize_observations else None
        self.reward_scale = RewardNorm(num_envs, gamma) if normalize_rewards else None
        self.example_input_array = example_input(observation_size)

    def features(self, observation_size: ObservationSize) -> ObservationSize:
        """The inputs of policy and critic: by default the observations."""
        return observation_size

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A), or (B,) of discrete ones, for observations (B, O)."""
        return self.policy.env_action(self.policy.mode(self.policy(self.normalize(observation))))

    def evaluation_policy(self) -> Callable[[Tensor], Tensor]:
        if self.eval_deterministic:
            return self.greedy

        def parameters(observation: Tensor) -> Tensor:
            found: Tensor = self.policy(self.normalize(self.typed(observation)))
            return found

        return SamplingPolicy(self.policy, parameters)

    def noise(self, *shape: int) -> Tensor:
        """The random numbers that an actor needs for so many steps."""
        return self.policy.noise(*shape)

    def actor(self) -> Act:
        """The present policy as a function, for one rollout.

        It returns actions and the actions that go to the environments. Made once per rollout, because modules take
        longer to be called than to compute so little.
        """
        policy, net = self.policy, self.policy.net.as_function()
        normalize = self.normalize if self.observation_norm is None else self.observation_norm.as_function()

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            action = policy.sample(policy.distribution(net(normalize(observation.to(noise.dtype)))), noise)
            return action, policy.env_action(action)

        return act

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Refuses those of two encoders where there is one, and those with another dense layer.

        Raises:
            BadSetting: with the settings that they need.
        """
        theirs = {name: weight for name, weight in weights.items() if name.startswith(ENCODER)}
        critic = [weights.get(name.replace(ENCODER, "critic.encoder."), weight) for name, weight in theirs.items()]
        size, needed = dense_size(theirs), {}
        if self.shares_encoder and not all(map(torch.equal, theirs.values(), critic)):
            needed["share_features_extractor"] = "false"
        if theirs and size != dense_size(self.state_dict()):
            needed["features_dim"] = "null" if size is None else str(size)
        if needed:
            settings = " ".join(f"model.{key}={value}" for key, value in needed.items())
            raise BadSetting(next(iter(needed)), f"its encoder of images is another one; set {settings}")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses weights as `check_weights` does.

        Raises:
            LabError: with the setting that they need.
        """
        super().on_load_checkpoint(checkpoint)
        try:
            self.check_weights(checkpoint["state_dict"])
        except BadSetting as error:
            raise LabError(f"the checkpoint does not fit: {error.message}") from None

    def normalize(self, observation: Tensor) -> Tensor:
        return observation if self.observation_norm is None else self.observation_norm(observation)

    def value(self, observation: Tensor) -> Tensor:
        """Value (...) of normalised observations (..., O)."""
        value: Tensor = self.critic(observation)
        return value.squeeze(-1)

    def policy_and_value(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's parameters (..., P) and values (...), with one pass through an encoder that they share."""
        if not self.shares_encoder:
            return self.policy(observation), self.value(observation)
        policy: Any = self.policy.net
        critic: Any = self.critic
        features = policy.encoder(observation)
        parameters = self.policy.distribution(policy.head(features, observation))
        return parameters, critic.head(features, observation).squeeze(-1)

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(nn.ModuleList([self.policy, self.critic]).parameters())]  # those that are shared once

    def own_buffers(self) -> dict[str, Tensor]:
        """Buffers that belong to the environments of one process."""
        return {} if self.reward_scale is None else {"reward_scale.returns": self.reward_scale.returns}

    def schedule_position(self, rollout: Rollout) -> int:
        """Those before the rollout: it is long, and the last one is to be learnt from too."""
        return rollout.env_steps - int(rollout.steps.numel()) * self.trainer.world_size

    def num_updates(self, data: RolloutData) -> int:
        return (
            data.total_steps
            // (data.num_envs * data.num_steps)
            * self.updates_per_rollout(data.num_envs * data.num_steps)
        )

    def updates_per_rollout(self, steps: int) -> int:  # noqa: ARG002 - for subclasses
        """Compiled updates on a rollout of so many steps."""
        return 1

    def update_on_batch(self, rollout: Rollout, state: Sequence[Any]) -> dict[str, Tensor]:
        return self.learn(self.experience(rollout.steps), state)

    @torch.no_grad()
    def experience(self, steps: TensorDictBase) -> Experience:
        """The rollout with its advantages; the running statistics move on afterwards.

        Steps may say in `valid` (T, N) which of them are learnt from, if not all are.
        """
        valid = steps.get("valid", None)
        observation, following = steps["observation"], steps["next"]  # (T, N, O)
        normalized = self.normalize(observation)
        value, old = self.value_and_old(normalized)  # (T, N)
        future = self.future(value, following)
        reward, done = following["reward"], following["done"]
        if self.reward_scale is not None:
            reward = self.reward_scale(reward, done, valid)
        advantage = gae(value, future, reward, following["terminated"], done, self.gamma, self.gae_lambda)
        if self.observation_norm is not None:
            self.observation_norm.update(observation.flatten(0, 1) if valid is None else observation[valid])
        columns = [normalized, steps["action"], advantage, advantage + value] + [old] * (old is not None)
        return Experience(*(column.flatten(0, 1) if valid is None else column[valid] for column in columns))

    def value_and_old(self, observation: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values (...) of normalised observations (..., O), and the policy's parameters (..., P) if `learn` needs them.

        Both at once, since images then pass through a shared encoder once.
        """
        return self.value(observation), None

    def future(self, value: Tensor, following: TensorDictBase) -> Tensor:
        """Values (T, N) of the observations after each step, with no meaning where the episode terminated.

        Most of them are observed at the next step, so the critic is asked about the others alone: the last ones of the
        rollout, and those at which an episode was cut off.
        """
        observation = following["observation"]
        future = torch.cat([value[1:], self.value(self.normalize(observation[-1:]))])
        cut_off = following["done"] & ~following["terminated"]
        if cut_off.any():
            future[cut_off] = self.value(self.normalize(observation[cut_off]))
        return future

    def learn(self, experience: Experience, state: Sequence[Any]) -> dict[str, Tensor]:
        """All updates of one rollout; returns what is logged. Here it is a single one.

        `state` is Adam's, one entry per group.
        """
        self.updates += 1
        return self.update(state, *experience[:4])

    def mean_entropy(self, parameters: Tensor) -> Tensor:
        """The mean entropy of the policy, without a gradient where the loss leaves it out."""
        return self.policy.entropy(parameters if self.entropy_coef else parameters.detach()).mean()

    def gradient_step(self, loss: Tensor, state: Sequence[Any], max_grad_norm: float) -> Tensor:
        """One Adam step down the gradient of `loss`, clipped to `max_grad_norm`; returns its norm before that."""
        parameters, first, second, steps, rate, betas = state
        gradients = torch.autograd.grad(loss, parameters)
        if torch.distributed.is_initialized():
            average([gradients])
        norm = clip_(gradients, max_grad_norm)
        adam.adam_(gradients, parameters, first, second, steps, rate, betas, eps=EPS)
        return norm

    def fit_critic(
        self, experience: Experience, state: Sequence[Any], passes: int, batch_size: int | None = None
    ) -> Tensor:
        """Steps of the critic alone, on batches of the rollout or all of it; returns the last squared error."""
        observation, target = experience.observation, experience.target
        for _ in range(passes):
            batches = [slice(None)] if batch_size is None else torch.randperm(len(target)).split(batch_size)
            for batch in batches:
                loss = F.mse_loss(self.value(observation[batch]), target[batch])
                self.gradient_step(loss, state, max_grad_norm=math.inf)
        return loss.detach()

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, lambda observation: self.value(self.normalize(observation)))
