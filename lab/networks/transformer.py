"""Transformers over sequences of vectors: an encoder, and a decoder with cross-attention to an encoder's output.

Source: Vaswani et al., Attention is all you need, NeurIPS 2017, with the normalisation before each block (Xiong et al.,
On layer normalization in the Transformer architecture, ICML 2020) unless asked for behind it. The layers are torch's
own, and `record_attention` shows where each of them looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lab.networks.activations import Activation, make_activation
from lab.networks.attention import causal_mask


class _LayerStack(nn.Module):
    """Layers of one kind, each with first weights of its own, and the normalisation at the end.

    Args:
        width: size of the vectors.
        depth: layers, from 0.
        heads: of the attention, which divide the width.
        feedforward: hidden width of each layer's perceptron; twice the width by default.
        dropout: share of each block's outputs, and of attention, that are dropped in training, from 0 to 1.
        activation: of the perceptron.
        norm_first: normalise before each block and at the end; otherwise behind each block, as in the source.
    """

    layer_class: ClassVar[type[nn.TransformerEncoderLayer] | type[nn.TransformerDecoderLayer]]

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int = 4,
        feedforward: int | None = None,
        dropout: float = 0.1,
        activation: Activation = "gelu",
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            self.layer_class(
                width,
                heads,
                feedforward or 2 * width,
                dropout,
                make_activation(activation),
                batch_first=True,
                norm_first=norm_first,
            )
            for _ in range(depth)
        )
        self.norm_first = norm_first
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()


class TransformerEncoder(_LayerStack):
    """Sequences (B, T, width) -> (B, T, width), each position having seen the others.

    >>> encoder = TransformerEncoder(16, depth=2, heads=4)
    >>> encoder(torch.randn(2, 5, 16), causal=True).shape
    torch.Size([2, 5, 16])
    """

    layer_class = nn.TransformerEncoderLayer

    def forward(self, x: Tensor, padding: Tensor | None = None, causal: bool = False) -> Tensor:
        """Looks at whole sequences, or at what came before.

        Args:
            x: (B, T, width).
            padding: (B, T), True where a sequence is filled up: nothing looks there, and what is returned there means
                nothing. One that is filled up altogether becomes NaN.
            causal: a position sees itself and those before it.
        """
        mask = causal_mask(x.shape[1], x.device) if causal else None
        for layer in self.layers:
            x = layer(x, src_mask=mask, src_key_padding_mask=padding, is_causal=causal)
        normalised: Tensor = self.norm(x)
        return normalised


class TransformerDecoder(_LayerStack):
    """Sequences (B, T, width) beside a memory (B, S, width) -> (B, T, width); no position sees what comes after it.

    Each layer has causal attention, attention to the memory, and a perceptron. `each_layer` takes sets without an
    order.

    >>> decoder = TransformerDecoder(16, depth=2, heads=4)
    >>> decoder(torch.randn(2, 5, 16), torch.randn(2, 9, 16)).shape
    torch.Size([2, 5, 16])
    """

    layer_class = nn.TransformerDecoderLayer

    def forward(self, x: Tensor, memory: Tensor, memory_padding: Tensor | None = None) -> Tensor:
        """Looks at what came before, and at the memory.

        Args:
            x: (B, T, width); where it is filled up at the end, nothing before sees that.
            memory: (B, S, width), such as the output of an encoder.
            memory_padding: (B, S), True where a memory is.
        """
        *_, last = self._states(x, memory, memory_padding, causal=True)
        normalised: Tensor = self.norm(last)
        return normalised

    def each_layer(self, x: Tensor, memory: Tensor) -> list[Tensor]:
        """A set of vectors that all see each other: (B, T, width) behind every layer, the last one at the end.

        Args:
            x: (B, T, width).
            memory: (B, S, width).
        """
        return [self.norm(state) for state in self._states(x, memory, None, causal=False)]

    def _states(self, x: Tensor, memory: Tensor, memory_padding: Tensor | None, causal: bool) -> Iterator[Tensor]:
        mask = causal_mask(x.shape[1], x.device) if causal else None
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=mask,
                tgt_is_causal=causal,
                memory_key_padding_mask=memory_padding,
            )
            yield x

    def step(
        self, x: Tensor, memory: Tensor, memory_padding: Tensor | None = None, seen: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """One further position, in evaluation: the same as the last one of `forward` over all positions.

        Args:
            x: (B, 1, width).
            memory: (B, S, width).
            memory_padding: (B, S), True where a memory is filled up.
            seen: the second value of the step before; empty at first.

        Returns:
            (B, 1, width), and what each layer has seen so far.
        """
        after = []
        layers: list[Any] = list(self.layers)
        for i, layer in enumerate(layers):
            normalised = layer.norm1(x) if self.norm_first else x
            known = torch.cat([*seen[i : i + 1], normalised], 1)
            after.append(known)
            x = x + layer.self_attn(normalised, known, known, need_weights=False)[0]
            x = x if self.norm_first else layer.norm1(x)
            normalised = layer.norm2(x) if self.norm_first else x
            x = x + layer.multihead_attn(normalised, memory, memory, memory_padding, need_weights=False)[0]
            x = x if self.norm_first else layer.norm2(x)
            hidden = layer.activation(layer.linear1(layer.norm3(x) if self.norm_first else x))
            x = x + layer.linear2(hidden)
            x = x if self.norm_first else layer.norm3(x)
        return self.norm(x), after
