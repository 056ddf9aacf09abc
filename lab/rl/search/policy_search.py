"""Policy search without gradients: the cross-entropy method, evolution strategies and CMA-ES on a policy's weights.

A rollout evaluates the whole population: every member plays in environments of its own, and all of them answer their
observations as one batch. The fitness of a member is the mean return of the episodes that it finished in the rollout,
or of what it played if there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.rl.common import plots as pictures
from lab.rl.common.agent import Agent, mean_or_nothing
from lab.rl.data.rollout import Rollout, RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks.normalization import ObservationNorm
from lab.rl.search.samplers import CMAES, CrossEntropy, EvolutionStrategy, Sampler
from lab.task import Task


class PolicySearch(Agent):
    """Searches the weights of a small network; what is evaluated is the mean of the search distribution.

    Args:
        observation_size: length of an observation; a fact of the data.
        action: bounds of a continuous action, or number of discrete actions; a fact of the data.
        num_envs: environments of a rollout; a fact of the data.
        num_steps: steps of each in a rollout; a fact of the data.
        algorithm: `cem`, the cross-entropy method; `es`, evolution strategies; `cma_es`.
        hidden: widths of the hidden layers; none for a linear policy.
        sigma: standard deviation of the weights, at first or, for `es`, always.
        init_std: standard deviation of the initial mean.
        episodes: environments of each member; the population is `data.num_envs` divided by it.
        lr: learning rate of Adam; if `es`.
        elite_frac: fraction of the population to which the distribution is fitted; if `cem`.
        extra_std: standard deviation that is added at first and falls to 0 in the first half of the run; if `cem`.
        normalize_observations: normalise observations to mean 0 and variance 1, with running statistics.
    """

    action_values: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        num_steps: int,  # noqa: ARG002 - kept with the hyperparameters
        algorithm: Literal["cem", "es", "cma_es"] = "cma_es",
        hidden: list[Annotated[int, Gt(0)]] = [],  # noqa: B006 - never changed
        sigma: Annotated[float, Gt(0)] = 0.5,
        init_std: Annotated[float, Ge(0)] = 0.01,
        episodes: Annotated[int, Ge(1)] = 1,
        lr: Annotated[float, Gt(0)] = 0.05,
        elite_frac: Annotated[float, Gt(0), Le(1)] = 0.2,
        extra_std: Annotated[float, Ge(0)] = 0.0,
        normalize_observations: bool = False,
    ) -> None:
        super().__init__(env)
        self.save_hyperparameters()
        self.algorithm, self.episodes, self.lr, self.num_envs = algorithm, episodes, lr, num_envs
        population = num_envs // episodes
        if num_envs % episodes or population < 4 or (algorithm == "es" and population % 2):
            needed = "an even number of at least 4" if algorithm == "es" else "at least 4"
            raise BadSetting("episodes", f"{num_envs} environments divided by it are the population: expected {needed}")
        if not isinstance(observation_size, int) or "counts" in action:
            raise BadSetting("env", f"{env!r} has no vector observations or several choices at once: use task=ppo")
        size = observation_size
        outputs = action["count"] if "count" in action else len(action["low"])
        self.widths = [size, *hidden, outputs]
        weights = sum((inner + 1) * outer for inner, outer in zip(self.widths, self.widths[1:], strict=False))
        self.mean = nn.Parameter(init_std * torch.randn(weights))
        values = torch.tensor(action.get("values", []))  # what discrete actions stand for in a Box
        low, high = (torch.tensor(action.get(name, [])) for name in ("low", "high"))
        for name, buffer in {"action_values": values, "low": low, "high": high}.items():
            self.register_buffer(name, buffer, persistent=False)
        self.observation_norm = ObservationNorm(size) if normalize_observations else None
        self.sigma, self.population, self.elite_frac, self.extra_std = sigma, population, elite_frac, extra_std
        self.sampler: Sampler | None = None
        self.sampler_state: dict[str, Any] = {}
        self.members = torch.empty(0)  # the weights of the present rollout (P, D)
        self.example_input_array = torch.zeros(1, size)

    def forward(self, observation: Tensor) -> Tensor:
        """Actions (B, A), or (B,) of discrete ones, of the mean weights for observations (B, O)."""
        return self.answer(self.layers(self.mean[None]), observation[None])[0]

    def layers(self, weights: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Matrices (P, I, O) and biases (P, 1, O) of each layer, from weights (P, D)."""
        found, begin = [], 0
        for inner, outer in zip(self.widths, self.widths[1:], strict=False):
            matrix = weights[:, begin : begin + inner * outer].reshape(-1, inner, outer)
            begin += inner * outer
            found.append((matrix / math.sqrt(inner), weights[:, None, begin : begin + outer]))
            begin += outer
        return found

    def answer(self, layers: list[tuple[Tensor, Tensor]], observation: Tensor) -> Tensor:
        """Actions of each member for its observations (P, E, O)."""
        if self.observation_norm is not None:
            observation = self.observation_norm(observation)
        for matrix, bias in layers[:-1]:
            observation = torch.baddbmm(bias, observation, matrix).tanh()
        outputs = torch.baddbmm(layers[-1][1], observation, layers[-1][0])
        if len(self.low):
            return self.low + (outputs.tanh() + 1) / 2 * (self.high - self.low)
        best = outputs.argmax(-1)
        return self.action_values[best] if len(self.action_values) else best

    def noise(self, *shape: int) -> Tensor:
        """None: members act greedily."""
        return self.mean.new_empty(*shape, 0)

    def actor(self) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """A new population as a function, for one rollout: (N, O) -> actions (N, ...), member by member."""
        self.members = self._sampler().sample()
        layers = self.layers(self.members)

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            each = observation.to(self.members).view(self.population, self.episodes, -1)
            action = self.answer(layers, each).flatten(0, 1)
            return action, action

        return act

    def training_step(self, rollout: Rollout, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        fitness = mean_returns(rollout.steps["next", "reward"], rollout.steps["next", "done"])  # (N,)
        fitness = fitness.view(self.population, self.episodes).mean(-1)
        sampler, optimizer = self._sampler(), self.optimizers()
        optimizer.step(lambda: sampler.update(self.members, fitness))  # type: ignore[union-attr]
        self.mean.grad = None
        if self.observation_norm is not None:
            self.observation_norm.update(rollout.steps["observation"].flatten(0, 1))
        self.env_steps = rollout.env_steps
        self.recent_returns += rollout.returns
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.trainer.global_step % every == 0:
            metrics = {"fitness/mean": float(fitness.mean()), "fitness/best": float(fitness.max())}
            metrics |= {"weights/std": float(self.members.std(0).mean())}
            metrics |= mean_or_nothing(self.recent_returns, "train/return")
            self.log_dict(metrics | dict.fromkeys(("env_steps", "step"), float(self.env_steps)))
            self.recent_returns = []
        return -fitness.mean()

    def _sampler(self) -> Sampler:
        if self.sampler is None:
            mean: Any = self.mean.requires_grad_(False)
            if self.algorithm == "cem":
                data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
                half = max(1, data.total_steps // (2 * data.num_envs * data.num_steps))
                self.sampler = CrossEntropy(mean, self.population, self.sigma, self.elite_frac, self.extra_std, half)
            else:
                self.sampler = {"es": EvolutionStrategy, "cma_es": CMAES}[self.algorithm](
                    mean, self.population, self.sigma
                )
            if self.sampler_state:
                self.sampler.load(self.sampler_state)
        return self.sampler

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam follows the gradient of `es`; of the others it only counts the steps, which change the mean in place."""
        return torch.optim.Adam([self.mean], lr=self.lr)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["sampler"] = {} if self.sampler is None else self.sampler.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.sampler, self.sampler_state = None, checkpoint["sampler"]

    def draw(self) -> None:
        pictures.draw_policy(self)


def mean_returns(reward: Tensor, done: Tensor) -> Tensor:
    """Mean return (N,) of the episodes that were finished in rewards (T, N); of what was played where there is none.

    >>> mean_returns(torch.ones(5, 2), torch.tensor([[0, 0], [1, 0], [0, 0], [1, 0], [0, 0]]).bool())
    tensor([2., 5.])
    """
    finished = done.sum(0)
    counts = done.cumsum(0) - done.long() < finished  # steps of episodes that end later
    return torch.where(finished > 0, (reward * counts).sum(0) / finished.clamp(min=1), reward.sum(0))


class PopulationData(RolloutData):
    """Rollouts that begin anew each time, with an environment or several for each member of the population.

    Args:
        num_steps: steps of each member in a rollout: at least the longest episode, so that each finishes one.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        num_envs: Annotated[int, Ge(1), Le(1024)] = 32,
        num_steps: Annotated[int, Gt(0)] = 200,
        reset_each_rollout: bool = True,
        eval_every: Annotated[int, Gt(0)] = 50_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            env,
            total_steps,
            num_envs=num_envs,
            num_steps=num_steps,
            reset_each_rollout=reset_each_rollout,
            eval_every=eval_every,
            eval_deterministic=True,
            **kwargs,
        )


TASK = Task(module=PolicySearch, data=PopulationData, monitor="val/return", mode="max")
