"""An encoder of clips: the same convolutions for every frame, and a network over the frames.

Sources: Donahue et al., Long-term recurrent convolutional networks, CVPR 2015, for the LSTM; Neimark et al., Video
Transformer network, ICCV workshops 2021, for the attention.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lab.multimodal.places import Places, num_places
from lab.networks import Recurrent, SinusoidalPositions, TransformerEncoder
from lab.vision.networks.normalize import Normalize

TemporalName = Literal["mean", "lstm", "attention"]


class NormalizeClips(Normalize):
    """The same for clips (B, T, channels, size, size)."""

    def forward(self, clips: Tensor) -> Tensor:
        normalised: Tensor = super().forward(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        return normalised


class ClipEncoder(nn.Module):
    """Normalised clips (B, T, C, H, W) -> vectors (B, T, hidden), or (B, 1, hidden) where frames are averaged.

    Args:
        channels: of a frame.
        size: height and width of a frame.
        frames: of a clip.
        hidden: size of the vectors; a multiple of 4.
        temporal: mean of all frames, which does not see their order; an LSTM; or a Transformer layer.
        width: channels of the first convolution.
        dropout: share of the layers' outputs that are dropped in training, from 0 to 1.
        fixed: as in `Places`.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        frames: int,
        hidden: int,
        temporal: TemporalName,
        width: int = 16,
        dropout: float = 0.1,
        fixed: bool = False,
    ) -> None:
        super().__init__()
        self.places = Places(channels, width, fixed)
        self.where = nn.Linear(self.places.channels * num_places(size), hidden)
        self.what = nn.Linear(self.places.channels, hidden)  # of the largest values, wherever they are
        self.temporal, self.num_vectors = temporal, 1 if temporal == "mean" else frames
        if temporal == "lstm":
            self.recurrent = Recurrent(hidden, hidden)
        elif temporal == "attention":
            self.positions = SinusoidalPositions(frames, hidden)
            self.transformer = TransformerEncoder(hidden, depth=1, dropout=dropout)
            self.query = nn.Linear(hidden, 1)

    def forward(self, clips: Tensor) -> Tensor:
        maps = self.places(clips.flatten(0, 1))
        seen = F.relu(self.where(maps.flatten(1)) + self.what(maps.amax((2, 3))))
        vectors: Tensor = seen.unflatten(0, clips.shape[:2])
        if self.temporal == "mean":
            return vectors.mean(1, keepdim=True)
        if self.temporal == "lstm":
            outputs: Tensor = self.recurrent(vectors).outputs
            return outputs
        attended: Tensor = self.transformer(self.positions(vectors))
        return attended

    def pool(self, vectors: Tensor) -> tuple[Tensor, Tensor | None]:
        """One vector for each clip, (B, hidden), and the weight of each frame in it, (B, T), where frames have any."""
        if self.temporal != "attention":
            return vectors[:, -1], None  # the mean, or the LSTM after the last frame
        weights = self.query(vectors).softmax(1)  # (B, T, 1)
        return (weights * vectors).sum(1), weights.squeeze(2)
