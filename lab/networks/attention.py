"""Attention: masks, and the attention weights of a trained network.

The layer itself is `torch.nn.MultiheadAttention`, also inside torch's Transformer layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """(length, length), True where a position (row) may not look, because the other (column) comes after it.

    >>> causal_mask(3).int().tolist()
    [[0, 1, 1], [0, 0, 1], [0, 0, 0]]

    Args:
        length: of the sequences, T.
        device: where the mask is made; by default on the CPU.
    """
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def padding_mask(lengths: Tensor, length: int) -> Tensor:
    """Lengths (B,) -> (B, length), True behind the end of each sequence.

    >>> padding_mask(torch.tensor([1, 3]), 3).int().tolist()
    [[0, 1, 1], [0, 0, 0]]

    Args:
        lengths: of the sequences, (B,) whole numbers from 0.
        length: of the longest, T.
    """
    return torch.arange(length, device=lengths.device) >= lengths.unsqueeze(1)


@contextmanager
def record_attention(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Inside, `network` leaves the weights of its attention layers in the dictionary: (B, heads, queries, keys).

    Each row sums to 1, before dropout. The network's outputs are the same within rounding: its layers compute their
    weights explicitly, where they would be fused otherwise.

    >>> network = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> with record_attention(network) as weights:
    ...     _ = network(torch.randn(4, 5, 8))
    >>> {name: tuple(each.shape) for name, each in weights.items()}
    {'self_attn': (4, 2, 5, 5)}

    Args:
        network: any with `nn.MultiheadAttention` in it. The names in the dictionary are those of `named_modules`; of a
            layer that is called twice, the weights of the second call are left.
    """
    weights: dict[str, Tensor] = {}
    handles: list[Any] = []

    def ask(_: nn.Module, args: tuple[Any, ...], settings: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, settings | {"need_weights": True, "average_attn_weights": False}

    for name, layer in network.named_modules():
        if isinstance(layer, nn.MultiheadAttention):

            def keep(_: nn.Module, __: Any, output: tuple[Tensor, Tensor], name: str = name) -> None:
                weights[name] = output[1].detach()

            handles += [
                layer.register_forward_pre_hook(ask, with_kwargs=True),
                layer.register_forward_hook(keep),
            ]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()
