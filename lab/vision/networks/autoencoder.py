"""An autoencoder: three convolutions that each halve the image, a linear layer to the code, and the decoder mirrored.

The source is a course's list of layers: a convolution to 8 maps (3x3, stride 2, padding 1) and ReLU; one to 16 (the
same), batch normalisation, ReLU and dropout; one to 32 (3x3, stride 2, no padding); flatten; linear to the code; the
decoder mirrored; a sigmoid at the end. It names nothing between the last convolution and the code, so there is nothing.
"""

from __future__ import annotations

from torch import Tensor, nn

CODE_SIZE = 32  # by default
DROPOUT = 0.1
MIN_SIZE = 9  # of an image: the last convolution leaves nothing of a smaller one


class Autoencoder(nn.Module):
    """Images (B, channels, size, size) -> logits of pixels of the same shape, and the code they are made from.

    A variational one samples its code from a normal distribution of which the encoder gives the mean, so `encoder` is
    the same network in both, and a classifier can start from it.

    Args:
        channels: of an image.
        size: height and width of an image, `MIN_SIZE` or more.
        code: size of the code.
        dropout: share of the 16 middle maps' values that are dropped in training, on both sides.
        variational: give the logarithm of the code's variance as well.
    """

    def __init__(self, channels: int, size: int, code: int, dropout: float, variational: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(channels, size, code, dropout), decoder(channels, size, code, dropout)
        self.log_variance = nn.Linear(32 * sides(size)[2] ** 2, code) if variational else None

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits of the pixels, mean of the code (B, code), and the logarithm of its variance if it has one.

        Args:
            images: (B, channels, size, size).
            noise: standard normal (B, code), from which a variational code is sampled; without it the mean is decoded.
        """
        if self.log_variance is None:
            mean = self.encoder(images)
            return self.decoder(mean), mean, None
        features = self.encoder[:-1](images)
        mean, log_variance = self.encoder[-1](features), self.log_variance(features)
        code = mean if noise is None else mean + noise * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


class EncoderClassifier(nn.Module):
    """The encoder with a linear classifier on its code: images (B, channels, size, size) -> logits (B, classes).

    Its `encoder` has the names and shapes of that of an `Autoencoder` with a code of `CODE_SIZE`.
    """

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder(channels, size, CODE_SIZE, DROPOUT)
        self.classifier = nn.Linear(CODE_SIZE, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.encoder(images))
        return logits


def sides(size: int) -> tuple[int, int, int]:
    """Sides of the maps after each convolution of the encoder."""
    first = (size + 1) // 2
    second = (first + 1) // 2
    return first, second, (second - 1) // 2


def encoder(channels: int, size: int, code: int, dropout: float) -> nn.Sequential:
    """Images (B, channels, size, size) -> codes (B, code)."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(dropout),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.Flatten(),
        nn.Linear(32 * sides(size)[2] ** 2, code),
    )  # fmt: skip


def decoder(channels: int, size: int, code: int, dropout: float) -> nn.Sequential:
    """Codes (B, code) -> logits (B, channels, size, size); a sigmoid makes pixels of them."""
    first, second, third = sides(size)
    return nn.Sequential(
        nn.Linear(code, 32 * third**2),
        nn.Unflatten(1, (32, third, third)),
        _upsample(32, 16, third, second, 0), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(dropout),
        _upsample(16, 8, second, first, 1), nn.ReLU(),
        _upsample(8, channels, first, size, 1),
    )  # fmt: skip


def _upsample(n_in: int, n_out: int, small: int, large: int, padding: int) -> nn.ConvTranspose2d:
    """The transpose of a convolution of stride 2, padded so that it gives maps of side `large`."""
    left_over = large - (2 * small + 1 - 2 * padding)
    return nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=padding, output_padding=left_over)
