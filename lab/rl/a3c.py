"""Asynchronous advantage actor-critic (A3C): workers with copies of the networks, whose gradients come late.

Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning". Each worker plays a short rollout with
its own copy, computes the gradient there, adds it to the shared networks and copies them anew; until then the other
workers have changed these. Deviations: the workers take turns, so that a gradient is always `num_envs` - 1 updates
late, and not by what the operating system lets come first: the same seed gives the same numbers. All run in one
process, their copies side by side in one batch; Adam instead of RMSprop, as everywhere here, with statistics that all
workers share; policy and critic share no layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lab.rl.a2c import A2C, A2CRolloutData
from lab.rl.common import adam
from lab.rl.common.advantage import gae
from lab.rl.common.learner import clip_
from lab.rl.common.on_policy import EPS
from lab.rl.data.rollout import Rollout
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks.exploration import Act
from lab.task import Task

Weights = Mapping[str, Tensor]


class A3C(A2C):
    """Advantage actor-critic with one worker in each environment, whose gradients are late.

    Args:
        num_envs: workers, each with an environment and a copy of the networks of its own.
    """

    uncompiled_because = "a3c cannot be compiled: its workers learn one after the other; leave it out"
    averages_gradients = False  # each process would have workers that never hear of the others'

    def __init__(
        self, env: str, observation_size: ObservationSize, action: ActionSpec, num_envs: int, **kwargs: Any
    ) -> None:
        super().__init__(
            env, observation_size, action, num_envs, share_features_extractor=False, features_dim=None, **kwargs
        )
        self.num_workers = num_envs
        self.places: dict[str, list[tuple[str, str]]] = {}  # of each network: its parameters, and where copies lie
        for of, network in self.networks().items():
            self.places[of] = [(name, f"{of}_{name.replace('.', '_')}") for name, _ in network.named_parameters()]
            for (_, place), weight in zip(self.places[of], network.parameters(), strict=True):
                self.register_buffer(f"copy_{place}", weight.detach().expand(num_envs, *weight.shape).clone())

    def networks(self) -> dict[str, nn.Module]:
        """The networks that every worker has a copy of, in the order of the parameters that Adam steps."""
        return {"policy": self.policy, "critic": self.critic}

    def copies(self, of: str) -> dict[str, Tensor]:
        """The copies of a network's parameters (N, ...), one for each worker."""
        return {name: getattr(self, f"copy_{place}") for name, place in self.places[of]}

    def actor(self) -> Act:
        policy, copies = self.policy, self.copies("policy")
        answer = vmap(lambda weights, seen: functional_call(policy, weights, (seen,)))

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            parameters = answer(copies, self.normalize(observation.to(noise.dtype)))
            action = policy.sample(parameters, noise)
            return action, policy.env_action(action)

        return act

    def update_on_batch(self, rollout: Rollout, state: Sequence[Any]) -> dict[str, Tensor]:
        """One gradient of each worker, on its column of the rollout (T, N), applied in turn."""
        steps, following = rollout.steps, rollout.steps["next"]
        both = self.normalize(torch.stack([steps["observation"], following["observation"]]))
        value, future = self.worker_values(both)
        reward, done = following["reward"], following["done"]
        if self.reward_scale is not None:
            reward = self.reward_scale(reward, done)
        advantage = gae(value, future, reward, following["terminated"], done, self.gamma, self.gae_lambda)
        if self.observation_norm is not None:
            self.observation_norm.update(steps["observation"].flatten(0, 1))
        self.updates += self.num_workers
        return self._update(state, both[0], steps["action"], advantage, advantage + value)

    @torch.no_grad()
    def worker_values(self, observation: Tensor) -> Tensor:
        """Values (..., T, N) of observations (..., T, N, *shape), each by the critic of its worker."""
        example: Any = self.example_input_array
        critic, workers = self.critic, observation.ndim - example.ndim  # the dimension of N
        answer = vmap(lambda weights, seen: functional_call(critic, weights, (seen,)), (0, workers), out_dims=-2)
        found: Tensor = answer(self.copies("critic"), observation)
        return found.squeeze(-1)

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        gradients, measured = self.worker_gradients(*experience)
        parameters, first, second, steps, rate, betas = state[0]
        copies = [copy for of in self.places for copy in self.copies(of).values()]
        norms = []
        for worker in range(self.num_workers):
            own = [gradient[worker].clone() for gradient in gradients]
            norms.append(clip_(own, self.max_grad_norm))
            adam.adam_(own, parameters, first, second, steps, rate, betas, eps=EPS)
            with torch.no_grad():
                for copy, weight in zip(copies, parameters, strict=True):
                    copy[worker] = weight
        measured = {name: values.mean() for name, values in measured.items()}
        return measured | {"gradient_norm/all": torch.stack(norms).mean()}

    def worker_gradients(self, *experience: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Gradients (N, ...) at each worker's copy, and its losses (N,), from columns (T, N, ...)."""
        networks = self.networks()

        def loss(weights: Mapping[str, Weights], *columns: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            observation, action, advantage, target = columns
            parameters = functional_call(networks["policy"], dict(weights["policy"]), (observation,))
            value = functional_call(networks["critic"], dict(weights["critic"]), (observation,)).squeeze(-1)
            policy = -(self.policy.log_prob(parameters, action) * advantage).mean()
            error, entropy = (value - target).square().mean(), self.policy.entropy(parameters).mean()
            measured = {"loss/policy": policy, "loss/value": error, "policy/entropy": entropy}
            return policy + self.value_coef * error - self.entropy_coef * entropy, measured

        weights = {of: self.copies(of) for of in networks}
        found, measured = vmap(grad(loss, has_aux=True), in_dims=(0, 1, 1, 1, 1))(weights, *experience)
        return [gradient for of in networks for gradient in found[of].values()], measured


class A3CRolloutData(A2CRolloutData):
    """Rollouts of five steps of each of 16 workers by default.

    Args:
        num_envs: workers.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        num_envs: Annotated[int, Ge(1), Le(1024)] = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(env, total_steps, num_envs=num_envs, **kwargs)


TASK = Task(module=A3C, data=A3CRolloutData, monitor="val/return", mode="max")
