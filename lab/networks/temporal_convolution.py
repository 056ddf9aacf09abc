"""The temporal convolutional network: dilated convolutions along time.

Source: Bai, Kolter and Koltun, An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling, arXiv 1803.01271, 2018, with layer normalisation in place of their weight normalisation.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional as F


class TemporalConvolution(nn.Module):
    """Sequences (B, T, in_features) -> (B, T, hidden), each step having seen `receptive_field` steps.

    Every block is two convolutions, each with normalisation, ReLU and dropout, beside a connection that skips both. Its
    dilation is twice that of the block before.

    >>> network = TemporalConvolution(3, 16, depth=4)
    >>> network(torch.zeros(2, 50, 3)).shape, network.receptive_field
    (torch.Size([2, 50, 16]), 61)

    Args:
        in_features: size of the input at each step.
        hidden: channels of every block.
        depth: blocks, from 1.
        kernel_size: steps that a convolution sees, an odd number.
        causal: see the present and the past alone; otherwise as much of the future as of the past.
        dropout: share of the channels' values that are dropped in training, from 0 to 1.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        depth: int = 4,
        kernel_size: int = 3,
        causal: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = itertools.pairwise([in_features] + depth * [hidden])
        self.blocks = nn.ModuleList(
            _Block(n_in, n_out, kernel_size, 2**i, causal, dropout) for i, (n_in, n_out) in enumerate(widths)
        )
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**depth - 1)
        self.out_features = hidden

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """
        Args:
            x: (B, T, in_features).
            padding: (B, T), True where a sequence is filled up: what is there is seen as 0.
        """
        for block in self.blocks:
            x = block(x, padding)
        return x


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel_size: int, dilation: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, n_out, kernel_size, dilation=dilation) for channels in (n_in, n_out)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(n_out) for _ in range(2))
        self.skip = nn.Linear(n_in, n_out) if n_in != n_out else nn.Identity()
        seen = (kernel_size - 1) * dilation  # steps besides the present one
        self.padding = (seen, 0) if causal else (seen // 2, seen // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        y = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            if padding is not None:
                y = y.masked_fill(padding.unsqueeze(2), 0)
            y = convolution(F.pad(y.mT, self.padding)).mT
            y = self.dropout(F.relu(norm(y)))
        outputs: Tensor = F.relu(self.skip(x) + y)
        return outputs
