"""Decision Transformer: a causal Transformer that is told a return, and predicts the actions that obtained it.

Source: Chen et al. 2021, "Decision Transformer: reinforcement learning via sequence modeling". Deviations: layers
normalise first; windows begin at any step and are filled up behind the end of an episode, not before its beginning;
Adam without weight decay and warm-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.common.learner import gradient_norm
from lab.rl.data.episodes import Episode, EpisodePolicy, RunningEpisode, record
from lab.rl.envs.observations import Layout, ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.offline import plots as pictures
from lab.rl.offline.decision_network import DecisionNetwork
from lab.rl.offline.offline_agent import OfflineAgent, has_vectors
from lab.rl.offline.offline_data import OfflineData
from lab.task import Task, Unit

EPISODES_PER_TARGET = 20  # of the picture


class DecisionTransformer(OfflineAgent):
    """Actions (B, T, A), or logits of discrete ones, from the windows of the last T steps.

    Validation and `test/return` ask for `target_return`. The test also asks for `num_targets` returns between the worst
    and the best of the data: `test/return_correlation` is the rank correlation of asked and obtained mean returns, and
    `returns.png` draws them.

    Args:
        observation_size: what an observation is; the length of a vector.
        action: bounds of the action, or the number of discrete ones.
        lr: learning rate of Adam.
        context: steps that it sees at once.
        width: size of a token's vector; a step has three tokens.
        depth: layers of the Transformer.
        heads: heads of the attention, which divide the width.
        dropout: dropout of attention and of each block's outputs.
        max_grad_norm: maximum gradient norm.
        max_steps: steps of an episode that have an embedding each; later ones share the last.
        target_return: return that is asked for; by default the best one of the data.
        num_targets: how many returns the test asks for, for the picture.
    """

    batch_keys = ("observation", "action", "return_to_go", "step", "mask")
    return_scale: Tensor
    return_range: Tensor

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-4,
        final_lr: Unit = 1.0,
        context: Annotated[int, Ge(2)] = 20,
        width: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 3,
        heads: Annotated[int, Gt(0)] = 1,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        max_grad_norm: Annotated[float, Gt(0)] = 0.25,
        max_steps: Annotated[int, Gt(0)] = 1_000,
        target_return: float | None = None,
        num_targets: Annotated[int, Ge(2)] = 10,
        normalize_observations: bool = True,
    ) -> None:
        normalized = normalize_observations and has_vectors(observation_size)
        super().__init__(env, observation_size, lr, final_lr, 1.0, normalized, False, 1)
        self.save_hyperparameters()
        if width % heads:
            raise BadSetting("heads", f"{heads} heads do not divide the width {width}")
        if "counts" in action:
            raise BadSetting("action", "decision_transformer needs one discrete action or continuous ones")
        self.bounds = None if "count" in action else continuous(action, "decision_transformer", "use no other")
        self.context, self.max_grad_norm = context, max_grad_norm
        self.target_return, self.num_targets = target_return, num_targets
        self.register_buffer("return_scale", torch.ones(()))
        self.register_buffer("return_range", torch.zeros(2))  # of the data's episodes
        self.network = DecisionNetwork(observation_size, action, width, depth, heads, dropout, max_steps)
        self.layout = Layout(observation_size)
        observations = torch.zeros(1, context, *self.layout.shape, dtype=torch.uint8 if self.layout.pixels else None)
        shape = () if self.bounds is None else (len(self.bounds["low"]),)
        self.empty_action = torch.zeros(shape, dtype=torch.int64 if self.bounds is None else None)
        whole = torch.zeros(1, context, dtype=torch.int64)
        actions = self.empty_action.expand(1, context, *shape).clone()
        self.example_input_array = (observations, actions, torch.zeros(1, context, 1), whole)

    def forward(self, observation: Tensor, action: Tensor, return_to_go: Tensor, step: Tensor) -> Tensor:
        """Actions (B, T, A) or logits (B, T, count), each from what comes before it.

        (B, T, O), (B, T, A) or (B, T), (B, T, 1), (B, T).
        """
        return self._predict(self.normalize(observation), action, return_to_go, step)

    def _predict(self, observation: Tensor, action: Tensor, return_to_go: Tensor, step: Tensor) -> Tensor:
        output: Tensor = self.network(observation, action, return_to_go / self.return_scale, step)
        return output

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.network.parameters())]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if not int(self.updates):
            data: OfflineData = self.trainer.datamodule  # type: ignore[attr-defined]
            self.return_scale.copy_(data.return_to_go.abs().max().clamp(min=1e-6))
            self.return_range.copy_(torch.stack([data.returns.min(), data.returns.max()]))

    def compile_pays(self, data: Any) -> bool:  # noqa: ARG002 - the hook's signature
        """Never: most of the time goes into large products."""
        return False

    def loss(self, observation: Tensor, action: Tensor, return_to_go: Tensor, step: Tensor, mask: Tensor) -> Tensor:
        """Mean over the steps of the windows that exist; errors of continuous actions in units of half the range."""
        predicted = self._predict(observation, action, return_to_go, step)
        if self.bounds is None:
            each = F.cross_entropy(predicted.flatten(0, 1), action.flatten(), reduction="none").view_as(mask)
        else:
            each = ((predicted - action) / self.network.scale).square().mean(-1)
        return (each * mask).sum() / mask.sum()

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step."""
        loss = self.loss(*batch)
        gradient = torch.autograd.grad(loss, state[0][0])
        measured = {"loss/action": loss.detach(), "gradient_norm/network": gradient_norm(gradient)} if measure else {}
        self._step(state, [gradient], self.max_grad_norm)
        return measured

    # ------------------------------------------------------------------------------------- in the environment

    def asked_return(self) -> float:
        """The return that validation and test ask for."""
        return float(self.return_range[1]) if self.target_return is None else self.target_return

    def policy(self, target: Callable[[int], float]) -> EpisodePolicy:
        """Acts on the last `context` steps of each episode; `target` is what the episode of a number is asked for."""

        @torch.inference_mode()
        def act(episodes: Sequence[RunningEpisode]) -> np.ndarray:
            lengths = [min(len(each.observations), self.context) for each in episodes]
            window = self._windows(episodes, lengths, target)
            found = self(*window)[torch.arange(len(episodes)), torch.tensor(lengths) - 1]
            actions: np.ndarray = (found.argmax(-1) if self.bounds is None else found).cpu().numpy()
            return actions

        return act

    def _windows(
        self, episodes: Sequence[RunningEpisode], lengths: Sequence[int], target: Callable[[int], float]
    ) -> list[Tensor]:
        """The last steps of each episode, filled up behind them; of the last one the action is yet to come."""
        rows, most = len(episodes), max(lengths)
        observations = np.zeros((rows, most, *episodes[0].observations[0].shape), episodes[0].observations[0].dtype)
        actions = np.broadcast_to(self.empty_action.numpy(), (rows, most, *self.empty_action.shape)).copy()
        returns, steps = np.zeros((rows, most, 1), np.float32), np.zeros((rows, most), np.int64)
        for row, (episode, length) in enumerate(zip(episodes, lengths, strict=True)):
            first = len(episode.observations) - length
            observations[row, :length] = episode.observations[first:]
            if length > 1:
                actions[row, : length - 1] = episode.actions[first:]
            gained = np.cumsum([sum(episode.rewards[:first]), *episode.rewards[first:]])
            returns[row, :length, 0] = target(episode.number) - gained
            steps[row, :length] = np.arange(first, first + length)
        arrays = (observations, actions, returns, steps)
        tensors = [torch.from_numpy(each).to(self.device) for each in arrays]
        return [each.to(self.dtype) if each.is_floating_point() else each for each in tensors]

    def record(self, seeds: Sequence[int], noise: float) -> list[Episode]:
        return record(self.policy(lambda _: self.asked_return()), self.env_factory, seeds, noise)

    def play(self, video: Path, seed: int) -> float:
        episode = RunningEpisode()
        policy = self.policy(lambda _: self.asked_return())

        def act(observation: Tensor) -> Tensor:
            episode.observations.append(observation[0].cpu().numpy())
            return torch.from_numpy(policy([episode]))

        def observe(action: np.ndarray, reward: float) -> None:
            episode.actions.append(action)
            episode.rewards.append(reward)

        return evaluation.record_video(act, self.env_factory, seed, self.device, video, observe)

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]

        def returns(target: Callable[[int], float], seeds: Sequence[int]) -> np.ndarray:
            played = record(self.policy(target), self.env_factory, seeds, num_envs=data.eval_envs)
            return np.array([sum(each.rewards) for each in played])

        score = float(returns(lambda _: self.asked_return(), starts).mean())
        metrics = {f"{stage}/return": score}
        if stage == "test":
            seeds = starts[:EPISODES_PER_TARGET]
            asked = np.linspace(float(self.return_range[0]), float(self.return_range[1]), self.num_targets)
            several = returns(lambda number: float(asked[number // len(seeds)]), list(seeds) * len(asked))
            self.obtained = asked, several.reshape(len(asked), len(seeds))
            metrics |= self.offline_metrics(score)
            metrics["test/return_correlation"] = rank_correlation(asked, self.obtained[1].mean(1))
        return metrics

    def draw(self) -> None:
        pictures.draw_returns(self, *self.obtained)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of them is constant.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    from scipy.stats import rankdata

    ranks = [rankdata(each) for each in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return 0.0
    return round(float(np.corrcoef(*ranks)[0, 1]), 9)


TASK = Task(module=DecisionTransformer, data=OfflineData, monitor="val/return", mode="max")
