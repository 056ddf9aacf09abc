"""Multi-armed bandits, thousands of them at once: what each exploration loses until it knows the best arm.

Sources: Lai & Robbins 1985 (regret); Auer et al. 2002 (UCB1); Thompson 1933; Sutton & Barto 2018, chapter 2. Every
bandit has an agent of its own; all of them take one action at a time, as one batch.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lab import plots
from lab.errors import BadSetting
from lab.task import Task, Unit

NORMAL = 1.96  # standard errors on either side of a mean, for an interval of 95 %


class Bandit(LightningModule):
    """Agents that estimate the mean reward of each arm and explore in one of several ways.

    Regret is what the expected rewards of the chosen arms are below those of the best arm, summed over all pulls;
    `test/regret` is its mean over the bandits, `test/regret_error` the standard error of that, `test/return` the mean
    sum of the rewards, and `test/optimal_action` the share of best arms in the last tenth of the pulls.

    Args:
        arms: number of arms; a fact of the data.
        num_bandits: number of bandits; a fact of the data.
        pulls: pulls of each bandit; a fact of the data.
        rewards: distribution of the rewards; a fact of the data.
        algorithm: `epsilon_greedy`; `ucb1`: `bonus` times the root of 2 ln t / n is added to an estimate; `counts`:
            `bonus` divided by the root of n is; `boltzmann`: softmax of the estimates divided by `temperature`;
            `thompson`: the best of a sample of the posterior, whose prior is uniform, or standard normal.
        epsilon: initial probability of a random arm; if `epsilon_greedy`.
        final_epsilon: final probability of a random arm.
        exploration_fraction: fraction of the pulls over which the probability decreases linearly.
        bonus: coefficient of `ucb1` and `counts`.
        temperature: of `boltzmann`.
        initial_value: first estimate; optimistic if no arm has such a mean.
        lr: step size of the estimates; null averages all rewards of an arm.
    """

    means: Tensor
    count: Tensor
    total: Tensor
    curve: Tensor
    regret: Tensor

    def __init__(
        self,
        arms: int,
        num_bandits: int,
        pulls: int,
        rewards: str,
        algorithm: Literal["epsilon_greedy", "ucb1", "counts", "boltzmann", "thompson"] = "ucb1",
        epsilon: Unit = 0.1,
        final_epsilon: Unit = 0.1,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 1.0,
        bonus: Annotated[float, Ge(0)] = 1.0,
        temperature: Annotated[float, Gt(0)] = 0.1,
        initial_value: float = 0.0,
        lr: Annotated[float, Gt(0), Le(1)] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.pulls, self.rewards, self.algorithm = pulls, rewards, algorithm
        self.epsilons, self.exploration_fraction = (epsilon, final_epsilon), exploration_fraction
        self.bonus, self.temperature, self.lr = bonus, temperature, lr
        self.estimate = nn.Parameter(torch.full((num_bandits, arms), initial_value))
        self.register_buffer("means", torch.zeros(num_bandits, arms))
        self.register_buffer("count", torch.zeros(num_bandits, arms))
        self.register_buffer("total", torch.zeros(num_bandits, arms))  # of the rewards
        self.register_buffer("regret", torch.zeros(num_bandits))
        self.register_buffer("curve", torch.zeros(pulls, 3))  # regret, its standard error, share of best arms
        self.pulled = 0

    def on_fit_start(self) -> None:
        self.means.copy_(self.trainer.datamodule.means)  # type: ignore[attr-defined]

    def choose(self) -> Tensor:
        """The next arm of each bandit (N,)."""
        progress = self.pulled / (self.pulls * self.exploration_fraction)
        first, last = self.epsilons
        if self.algorithm == "boltzmann":
            return torch.multinomial((self.estimate / self.temperature).softmax(-1), 1)[:, 0]
        value = self.estimate.detach()
        if self.algorithm == "thompson":
            value = self._posterior_sample()
        elif self.algorithm == "ucb1":
            value = value + self.bonus * (2 * math.log(max(1, self.pulled)) / self.count).sqrt()
        elif self.algorithm == "counts":
            value = value + self.bonus / self.count.sqrt()
        value = torch.where(self.count > 0, value, math.inf) if self.algorithm in ("ucb1", "counts") else value
        best = value == value.amax(-1, keepdim=True)
        arm = torch.multinomial(best.float(), 1)[:, 0] if best.sum() > len(best) else value.argmax(-1)
        if self.algorithm == "epsilon_greedy":
            random = torch.rand(len(arm), device=arm.device) < first + (last - first) * min(1.0, progress)
            arm = torch.where(random, torch.randint_like(arm, value.shape[1]), arm)
        return arm

    def _posterior_sample(self) -> Tensor:
        if self.rewards == "bernoulli":
            return torch.distributions.Beta(1 + self.total, 1 + self.count - self.total).sample()
        return self.total / (1 + self.count) + torch.randn_like(self.total) / (1 + self.count).sqrt()

    def training_step(self, pulls: int, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        self.optimizers().step(lambda: [self.pull() for _ in range(pulls)])  # type: ignore[union-attr]
        regret, _, optimal = self.curve[self.pulled - 1].tolist()
        self.log_dict(
            {"train/regret": regret, "train/optimal_action": optimal, "step": float(self.pulled)}, batch_size=1
        )

    @torch.no_grad()
    def pull(self) -> None:
        """One pull of every bandit."""
        arm = self.choose()[:, None]
        mean = self.means.gather(1, arm)
        noise = torch.rand_like(mean) if self.rewards == "bernoulli" else torch.randn_like(mean)
        reward = (noise < mean).to(mean) if self.rewards == "bernoulli" else mean + noise
        self.count.scatter_add_(1, arm, torch.ones_like(mean))
        self.total.scatter_add_(1, arm, reward)
        size = self.lr or 1 / self.count.gather(1, arm)
        self.estimate.scatter_add_(1, arm, size * (reward - self.estimate.gather(1, arm)))
        lost = (self.means.amax(1, keepdim=True) - mean)[:, 0]
        self.regret += lost
        error = self.regret.std(correction=0) / len(lost) ** 0.5
        self.curve[self.pulled] = torch.stack([self.regret.mean(), error, (lost == 0).float().mean()])
        self.pulled += 1

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        metrics = {"val/pulls_left": float(self.pulls - self.pulled), "step": float(self.pulled)}
        self.log_dict(metrics, batch_size=1)

    def test_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        curve = self.curve[: self.pulled]
        if not len(curve):
            curve = torch.zeros(1, 3)
        latest = curve[-max(1, self.pulls // 10) :, 2].mean()
        metrics = {
            "regret": curve[-1, 0],
            "regret_error": curve[-1, 1],
            "optimal_action": latest,
            "return": self.total.sum(1).mean(),
        }
        self.log_dict({f"test/{name}": value for name, value in metrics.items()}, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Lightning counts its steps; each runs a closure that changes the estimates in place."""
        return torch.optim.SGD([self.estimate])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["pulled"] = self.pulled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.pulled = checkpoint["pulled"]

    def on_test_end(self) -> None:
        regret, error, optimal = self.curve[: self.pulled].cpu().numpy().T
        with plots.figure(1, 2, width=4.5, height=3.2) as (drawing, axes):
            for panel, value, half, title in (
                (axes[0], regret, NORMAL * error, "Regret"),
                (axes[1], optimal, NORMAL * (optimal * (1 - optimal) / len(self.means)) ** 0.5, "Share of best arms"),
            ):
                panel.plot(range(1, len(value) + 1), value)
                panel.fill_between(range(1, len(value) + 1), value - half, value + half, alpha=0.3, linewidth=0)
                panel.set(xlabel="pulls", title=f"{title}, {self.algorithm}")
        plots.log_figure(self, "regret.png", drawing)


class BanditData(LightningDataModule):
    """Bandits whose arms are drawn from a seed: means uniform from 0 to 1 (Bernoulli), or standard normal (Gaussian).

    Args:
        arms: of each bandit.
        rewards: `bernoulli`, 0 or 1; or `gaussian`, with a standard deviation of 1.
        num_bandits: played at once, each by an agent of its own.
        pulls: of each bandit.
        train_freq: pulls of one training batch.
        eval_every: pulls between two validations.
        data_seed: of the arms.
    """

    def __init__(
        self,
        arms: Annotated[int, Ge(2)] = 10,
        rewards: Literal["bernoulli", "gaussian"] = "bernoulli",
        num_bandits: Annotated[int, Ge(2)] = 2_000,
        pulls: Annotated[int, Gt(0)] = 1_000,
        train_freq: Annotated[int, Gt(0)] = 10,
        eval_every: Annotated[int, Gt(0)] = 100,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.arms, self.rewards, self.num_bandits, self.pulls = arms, rewards, num_bandits, pulls
        self.train_freq, self.eval_every, self.data_seed = train_freq, eval_every, data_seed
        for key, value, of in (("eval_every", pulls, eval_every), ("train_freq", eval_every, train_freq)):
            if value % of:
                raise BadSetting(key, f"expected a divisor of {value}, found {of}")

    def facts(self) -> dict[str, Any]:
        """`arms`, `num_bandits`, `pulls` and `rewards`, as they are set."""
        return {"arms": self.arms, "num_bandits": self.num_bandits, "pulls": self.pulls, "rewards": self.rewards}

    @property
    def means(self) -> Tensor:
        """The mean reward of each arm (N, arms)."""
        generator = torch.Generator().manual_seed(self.data_seed)
        draw = torch.rand if self.rewards == "bernoulli" else torch.randn
        return draw(self.num_bandits, self.arms, generator=generator)

    def trainer_defaults(self) -> dict[str, Any]:
        """All pulls, in epochs from validation to validation."""
        return {"max_epochs": self.pulls // self.eval_every, "num_sanity_val_steps": 0, "log_every_n_steps": 1}

    def train_dataloader(self) -> DataLoader[int]:
        return _numbers([self.train_freq] * (self.eval_every // self.train_freq))

    def val_dataloader(self) -> DataLoader[int]:
        return _numbers([0])

    test_dataloader = val_dataloader


def _numbers(numbers: list[int]) -> DataLoader[int]:
    # with a generator of its own: a loader draws a number from torch's for each pass
    return DataLoader(numbers, batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]


TASK = Task(module=Bandit, data=BanditData, monitor="val/pulls_left", mode="min", score="test/regret")
