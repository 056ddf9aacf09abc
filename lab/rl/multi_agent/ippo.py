"""Independent proximal policy optimisation (IPPO): every agent of a team learns by PPO, as if it were alone.

Source: de Witt et al. 2020, "Is independent learning all you need in the StarCraft multi-agent challenge?", with one
network for all agents that is told whose turn it is (parameter sharing: Gupta et al. 2017, "Cooperative multi-agent
control using deep reinforcement learning"), or one for each. An agent sees, acts and is paid on its own; that the
others learn, too, is to it a part of an environment that changes. Steps of an agent that has ended, while others go
on, are in no loss, advantage or statistic; one that is cut off bootstraps from its last observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict
from torch import Tensor, nn

from lab import plots
from lab.errors import BadSetting, LabError
from lab.rl.common.learner import HiddenSizes, Learner
from lab.rl.common.observers import Observer, Step
from lab.rl.data.rollout import Rollout
from lab.rl.envs.layers.team import ALIVE, EXTRA, REWARD, TERMINATED, AgentSpec
from lab.rl.multi_agent.team_data import TeamRolloutData
from lab.rl.networks.exploration import Act
from lab.rl.ppo import PPO
from lab.task import Task, Unit


class Share(NamedTuple):
    """The share of one learner: agents that follow each other, and what they see and do.

    Args:
        agents: their numbers.
        size: length of an observation.
        width: numbers of an action.
        is_discrete: whether it is a single choice.
    """

    agents: slice
    size: int
    width: int
    is_discrete: bool

    @property
    def num_agents(self) -> int:
        """Number of agents."""
        return int(self.agents.stop - self.agents.start)


class IPPO(Learner):
    """Proximal policy optimisation for each agent of a PettingZoo environment.

    Args:
        agents: what each agent sees and does; a fact of the data.
        share_params: one policy and one critic for all agents, which are told who acts; else one of each for every
            agent.
        num_envs: environments in a rollout.
        num_steps: steps of each environment in a rollout.
        lr: learning rate of Adam.
        gamma: discount of the return per step.
        gae_lambda: lambda of generalised advantage estimation: 1 uses returns only, 0 one-step errors of the critic.
        update_epochs: passes over each rollout.
        batch_size: steps of an agent per update, of all agents together if they share parameters.
        objective: `clip` (clipped probability ratio) or `kl` (adaptive KL penalty).
        clip_range: clipping range of the probability ratio, for `clip`.
        target_kl: target KL divergence after the updates on a rollout, for `kl`.
        entropy_coef: weight of the entropy bonus in the loss.
        value_coef: weight of the critic's loss.
        max_grad_norm: maximum gradient norm.
        hidden: widths of the hidden layers of policy and critic.
        log_std_init: logarithm of the initial standard deviation of continuous actions, which are scaled to [-1, 1].
        normalize_observations: normalise observations to mean 0 and variance 1, with running statistics.
        normalize_advantages: normalise advantages in every minibatch.
        normalize_rewards: divide rewards by the running standard deviation of the discounted return.
    """

    numbers: Tensor

    def __init__(
        self,
        env: str,
        agents: dict[str, AgentSpec],
        num_envs: int,
        num_steps: int,
        share_params: bool = True,
        lr: Annotated[float, Gt(0)] = 3e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        gae_lambda: Unit = 0.95,
        update_epochs: Annotated[int, Gt(0)] = 10,
        batch_size: Annotated[int, Ge(2)] = 64,
        objective: Literal["clip", "kl"] = "clip",
        clip_range: Annotated[float, Gt(0), Le(1)] = 0.2,
        target_kl: Annotated[float, Gt(0)] = 0.01,
        entropy_coef: Annotated[float, Ge(0)] = 0.0,
        value_coef: Annotated[float, Ge(0)] = 0.5,
        max_grad_norm: Annotated[float, Gt(0)] = 0.5,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_advantages: bool = True,
        normalize_rewards: bool = False,
    ) -> None:
        super().__init__(env, lr, final_lr)
        self.save_hyperparameters()
        self.names, specs = list(agents), list(agents.values())
        for name, spec in agents.items():
            if share_params and spec != specs[0]:
                unlike = f"{self.names[0]!r} and {name!r} have different spaces; set model.share_params=false"
                raise BadSetting("share_params", unlike)
        count = len(specs)
        self.columns = max(spec["observation_size"] for spec in specs) + EXTRA
        make = partial(
            PPO, env, num_steps=num_steps, lr=lr, final_lr=final_lr, gamma=gamma, gae_lambda=gae_lambda,
            update_epochs=update_epochs, batch_size=batch_size, objective=objective, clip_range=clip_range,
            target_kl=target_kl, entropy_coef=entropy_coef, value_coef=value_coef, max_grad_norm=max_grad_norm,
            hidden=hidden, log_std_init=log_std_init, normalize_observations=normalize_observations,
            normalize_advantages=normalize_advantages, normalize_rewards=normalize_rewards,
        )  # fmt: skip
        ranges = [range(count)] if share_params else [range(number, number + 1) for number in range(count)]
        self.shares: list[Share] = []
        learners: list[PPO] = []
        for of in ranges:
            spec = specs[of[0]]
            size, action = spec["observation_size"], spec["action"]
            choices: Any = action.get("counts", [1])
            width = len(action["low"]) if "low" in action else len(choices)
            self.shares.append(Share(slice(of[0], of[-1] + 1), size, width, "count" in action))
            inputs = size + count if share_params else size  # with the number of the agent, one-hot
            learners.append(make(observation_size=inputs, action=action, num_envs=num_envs * len(of)))
        self.learners = nn.ModuleList(learners)
        # before `update_on_batch` puts this one's in place
        self.single_updates = [learner.update for learner in learners]
        self.register_buffer("numbers", torch.eye(count) if share_params else torch.empty(count, 0), persistent=False)
        self.example_input_array = torch.zeros(1, count * self.columns)

    def rows(self, observation: Tensor) -> Tensor:
        """The columns of each agent (..., A, K) of a team's observations (..., A K)."""
        rows: Tensor = observation.unflatten(-1, (len(self.names), self.columns))
        return rows

    def inputs(self, rows: Tensor, share: Share) -> Tensor:
        """Observations of the a agents of a learner (..., a, O), from rows (..., A, K)."""
        numbers = self.numbers[share.agents]
        seen = rows[..., share.agents, : share.size]
        return torch.cat([seen, numbers.to(seen).expand(*seen.shape[:-1], numbers.shape[-1])], -1)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions of all agents side by side (B, W), for observations of the team (B, A K)."""
        rows, found = self.rows(observation), []
        for learner, share in self.parts():
            action = learner(self.inputs(rows, share).flatten(0, 1))
            found.append(action.view(-1, share.num_agents * share.width))
        return torch.cat(found, -1)

    def parts(self) -> list[tuple[PPO, Share]]:
        """The learners with what they answer for."""
        return list(zip(self.learners, self.shares, strict=True))  # type: ignore[arg-type]

    def noise(self, *shape: int) -> Tensor:
        """The random numbers for so many actions of the team."""
        each = [learner.noise(*shape, share.num_agents) for learner, share in self.parts()]
        self.noise_sizes = [noise.shape[-2] * noise.shape[-1] for noise in each]
        return torch.cat([noise.flatten(-2) for noise in each], -1)

    def actor(self) -> Act:
        acts = [learner.actor() for learner, _ in self.parts()]

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:
            rows, actions, env_actions = self.rows(observation), [], []
            noises = noise.split(self.noise_sizes, -1)
            for act_one, share, drawn in zip(acts, self.shares, noises, strict=True):
                inputs = self.inputs(rows, share)  # (N, a, O)
                own = drawn.reshape(inputs.shape[0] * inputs.shape[1], -1)
                action, env_action = act_one(inputs.flatten(0, 1), own, is_init)
                actions.append(action.reshape(len(rows), -1))
                env_actions.append(env_action.reshape(len(rows), -1))
            return torch.cat(actions, -1), torch.cat(env_actions, -1)

        return act

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [learner.groups()[0] for learner, _ in self.parts()]

    def schedule_position(self, rollout: Rollout) -> int:
        """Those before the rollout, as in `OnPolicy`."""
        return rollout.env_steps - int(rollout.steps.numel())

    def num_updates(self, data: TeamRolloutData) -> int:
        return sum(learner.num_updates(data) * share.num_agents for learner, share in self.parts())

    def update_on_batch(self, rollout: Rollout, state: Sequence[Any]) -> dict[str, Tensor]:
        """All updates of every learner; logged are means over the learners."""
        measured_each = []
        for number, ((learner, _), steps) in enumerate(zip(self.parts(), self.steps(rollout), strict=True)):
            if steps["valid"].sum() < 2:  # its agents ended before the rollout began
                continue
            learner.update = partial(self.update, learner=number)
            measured_each.append(learner.learn(learner.experience(steps), state[number : number + 1]))
        self.updates.fill_(sum(int(learner.updates) for learner, _ in self.parts()))
        if not measured_each:
            return {"loss/policy": torch.zeros((), device=self.device)}
        return {name: torch.stack([each[name] for each in measured_each]).mean() for name in measured_each[0]}

    def steps(self, rollout: Rollout) -> list[TensorDict]:
        """The rollout as each learner sees it: (T, N a) steps of its a agents, those that are `valid` to be learnt."""
        following = rollout.steps["next"]
        before, after = self.rows(rollout.steps["observation"]), self.rows(following["observation"])  # (T, N, A, K)
        alive = before[..., ALIVE] > 0
        done = alive & (following["done"].unsqueeze(-1) | (after[..., ALIVE] == 0))
        found, begin = [], 0
        for _, share in self.parts():
            agents, end = share.agents, begin + share.num_agents * share.width
            action = rollout.steps["action"][..., begin:end].unflatten(-1, (share.num_agents, share.width))
            begin = end
            ahead = {
                "observation": self.inputs(after, share),
                "reward": after[..., agents, REWARD],
                "terminated": after[..., agents, TERMINATED] > 0,
                "done": done[..., agents],
            }
            columns: dict[str, Tensor] = {
                "observation": self.inputs(before, share),
                "action": action.squeeze(-1) if share.is_discrete else action,
                "valid": alive[..., agents],
            }
            flat: dict[str, Any] = {name: column.flatten(1, 2) for name, column in columns.items()}
            flat["next"] = {name: column.flatten(1, 2) for name, column in ahead.items()}
            found.append(TensorDict(flat, flat["valid"].shape))
        return found

    def _update(self, state: Sequence[Any], *batch: Any, learner: int) -> dict[str, Tensor]:
        return self.single_updates[learner](state, *batch)

    def observers(self, episodes: int) -> list[Observer]:
        self.earned = EachReturn(self.names, episodes)
        return [*super().observers(episodes), self.earned]

    def collect(self, name: str | None, episodes: int, noise: float, seed: int) -> tuple[str, dict[str, float]]:  # noqa: ARG002
        """Refuses: Minari's data sets are of one agent."""
        raise LabError("ippo has several agents, and a Minari data set is of one")

    def draw(self) -> None:
        """The returns of each agent in the episodes of the test."""
        with plots.figure(width=5, height=3.5) as (drawing, axes):
            axes.boxplot(self.earned.returns, tick_labels=self.names, showmeans=True)
            axes.set(ylabel="return of an episode", title=f"Returns of each agent on {self.env.rpartition(':')[2]}")
        plots.log_figure(self, "returns.png", drawing)


class EachReturn(Observer):
    """The mean return of each agent, `val/return/NAME`.

    Args:
        names: of the agents.
        num_episodes: how many are played.
    """

    def __init__(self, names: Sequence[str], num_episodes: int) -> None:
        self.names, self.returns = names, np.zeros((num_episodes, len(names)))

    def observe(self, episode: int, step: Step) -> None:
        self.returns[episode] += step.info["rewards"]

    def metrics(self, stage: str) -> dict[str, float]:
        means = self.returns.mean(0)
        return {f"{stage}/return/{name}": float(mean) for name, mean in zip(self.names, means, strict=True)}


TASK = Task(module=IPPO, data=TeamRolloutData, monitor="val/return", mode="max")
