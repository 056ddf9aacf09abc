"""t-SNE of pixels or of an encoder's codes.

Source: van der Maaten and Hinton, Visualizing data using t-SNE, JMLR 2008; scikit-learn's, of the 50 main components.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.plots import INK
from lab.vision.plots.tiles import bare, colours

MAPPED = 1_500  # points on the map: enough for its shape, and a matter of seconds


def neighbours(axes: Any, vectors: NDArray[Any], labels: NDArray[Any] | None, names: Sequence[str], of: str) -> None:
    """Draws the first `MAPPED` vectors (N, D) as points, coloured by class where there are labels (N,).

    Args:
        axes: where to.
        vectors: what is compared, by Euclidean distance.
        labels: places in `names`.
        names: of the classes.
        of: what the vectors are, for the title.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    vectors = vectors[:MAPPED]
    if len(vectors) < 5:
        bare(axes, "too few for a map")
        return
    least = min(50, *vectors.shape)
    codes = PCA(least, random_state=0).fit_transform(vectors)
    places = TSNE(perplexity=min(30, (len(codes) - 1) / 3), init="pca", random_state=0).fit_transform(codes)
    classes = np.zeros(len(places), dtype=int) if labels is None else labels[:MAPPED]
    shades = colours(len(names))
    axes.scatter(*places.T, s=min(16, 9_000 / len(places)), c=shades[classes], linewidth=0, alpha=0.8)
    if labels is not None and max(map(len, names), default=9) <= 2:
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.5, foreground="white")]
        for i in np.unique(classes):
            own = places[classes == i]
            middle = own[np.linalg.norm(own[:, None] - own, axis=2).sum(1).argmin()]  # one of them
            axes.text(*middle, names[i], ha="center", va="center", weight="bold", color=INK, path_effects=halo)
    elif labels is not None and 1 < len(names) <= 20:
        handles = [axes.scatter([], [], color=shade, label=name) for name, shade in zip(names, shades, strict=False)]
        axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))
    bare(axes, f"t-SNE of {of} of {len(places):,} images")
