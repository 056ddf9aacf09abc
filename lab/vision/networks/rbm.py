"""The restricted Boltzmann machine: its free energy, and samples of it by blocked Gibbs sampling.

Sources: Hinton, Training products of experts by minimizing contrastive divergence, Neural Computation 14, 2002; Hinton,
A practical guide to training restricted Boltzmann machines, 2010.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Generator, Tensor
from torch.nn import functional as F

from lab.networks import upcast


class RBM(NamedTuple):
    """Binary units: visible v (B, V) and hidden h (B, H), with energy E(v, h) = -a v - b h - h W v and p ~ exp(-E).

    >>> machine = RBM(torch.zeros(2, 3), torch.zeros(2), torch.zeros(3))
    >>> machine.hidden(torch.ones(1, 3)), machine.free_energy(torch.ones(1, 3))
    (tensor([[0.5000, 0.5000]]), tensor([-1.3863]))

    Args:
        weight: W, (H, V).
        hidden_bias: b, (H,).
        visible_bias: a, (V,).
    """

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor

    def hidden(self, visible: Tensor) -> Tensor:
        """Probability that each hidden unit is 1, (B, H)."""
        return upcast(F.linear(visible, self.weight, self.hidden_bias)).sigmoid()

    def visible(self, hidden: Tensor) -> Tensor:
        """Probability that each visible unit is 1, (B, V)."""
        return upcast(F.linear(hidden, self.weight.T, self.visible_bias)).sigmoid()

    def free_energy(self, visible: Tensor) -> Tensor:
        """-log of the sum of exp(-E(v, h)) over all h, (B,)."""
        inputs = upcast(F.linear(visible, self.weight, self.hidden_bias))  # (B, H)
        return -upcast(visible @ self.visible_bias) - F.softplus(inputs).sum(1)

    def gibbs(self, visible: Tensor, steps: int, random: Generator | None = None) -> Tensor:
        """Visible units (B, V) after so many rounds in which all hidden and then all visible units are sampled."""
        for _ in range(steps):
            hidden = self.hidden(visible).bernoulli(generator=random)
            visible = self.visible(hidden).bernoulli(generator=random)
        return visible

    def contrastive_divergence(self, visible: Tensor, steps: int) -> Tensor:
        """A loss, (), whose gradient is that of CD-k with its hidden units summed out: free energies' difference.

        Args:
            visible: binary data (B, V), at which a chain of k = `steps` rounds begins.
        """
        machine = RBM(*(part.detach() for part in self))
        return (self.free_energy(visible) - self.free_energy(machine.gibbs(visible, steps))).mean()
