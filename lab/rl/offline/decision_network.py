"""The network of the Decision Transformer: three tokens for each step, and a prediction behind each observation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.networks import TransformerEncoder
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks.encoder import Encoder

INIT_STD = 0.02  # of the embeddings, as in GPT-2: steps that were never recorded hardly change anything


class DecisionNetwork(nn.Module):
    """Returns to go, observations and actions of T steps -> for each step an action, or the logits of discrete ones.

    The tokens of a step are its return to go, its observation and its action, each with the embedding of the step's
    number added. A prediction sees all of the steps before its own, and of its own all but the action.

    >>> network = DecisionNetwork(3, {"low": [-2.0], "high": [2.0]}, width=16, depth=1)
    >>> steps = torch.arange(5)[None]
    >>> network(torch.zeros(1, 5, 3), torch.zeros(1, 5, 1), torch.zeros(1, 5, 1), steps).shape
    torch.Size([1, 5, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action: bounds of the action, or the number of discrete ones.
        width: size of a token's vector.
        depth: layers.
        heads: of the attention, which divide the width.
        dropout: share of each block's outputs that are dropped in training, from 0 to 1.
        max_steps: number of step embeddings.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        observation_size: ObservationSize,
        action: ActionSpec,
        width: int,
        depth: int,
        heads: int = 1,
        dropout: float = 0.1,
        max_steps: int = 1_000,
    ) -> None:
        super().__init__()
        self.discrete = "count" in action
        encoder = Encoder(observation_size)
        self.embed_observation = nn.Sequential(encoder, nn.Linear(encoder.width, width))
        self.embed_return = nn.Linear(1, width)
        self.embed_step = nn.Embedding(max_steps, width)
        nn.init.normal_(self.embed_step.weight, std=INIT_STD)
        outputs = action["count"] if "count" in action else 0  # noqa: SIM401 - of other actions the type is no number
        self.embed_action: nn.Module = nn.Embedding(outputs, width) if self.discrete else nn.Identity()
        if "low" in action:
            low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
            outputs = len(low)
            self.embed_action = nn.Linear(outputs, width)
            self.register_buffer("center", (high + low) / 2, persistent=False)
            self.register_buffer("scale", (high - low) / 2, persistent=False)
        self.norm, self.dropout, self.max_steps = nn.LayerNorm(width), nn.Dropout(dropout), max_steps
        self.transformer = TransformerEncoder(width, depth, heads, feedforward=4 * width, dropout=dropout)
        self.head = nn.Linear(width, outputs)

    def forward(self, observation: Tensor, action: Tensor, return_to_go: Tensor, step: Tensor) -> Tensor:
        """(B, T, O), (B, T, A) or (B, T), (B, T, 1), (B, T) -> (B, T, A) or (B, T, count)."""
        if not self.discrete:
            action = (action - self.center) / self.scale
        parts = (self.embed_return(return_to_go), self.embed_observation(observation), self.embed_action(action))
        embedded = self.embed_step(step.clamp(max=self.max_steps - 1))
        tokens = torch.stack(parts, 2) + embedded.unsqueeze(2)  # (B, T, 3, width)
        states = self.transformer(self.dropout(self.norm(tokens.flatten(1, 2))), causal=True)
        output: Tensor = self.head(states.unflatten(1, (-1, 3))[:, :, 1])
        return output if self.discrete else self.center + self.scale * torch.tanh(output)
