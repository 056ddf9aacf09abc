"""t-SNE of pixels or of an encoder's codes.

Source: van der Maaten and Hinton, Visualizing data using t-SNE, JMLR 2008; scikit-learn's, of the 50 main components.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.plots import LOOKS
from lab.vision.plots.tiles import bare

NAMED, ROWS = 64, 16  # classes of a legend, as many as look different, and in one column of it
MAPPED = 1_500  # points on the map: enough for its shape, and a matter of seconds


def neighbours(axes: Any, vectors: NDArray[Any], labels: NDArray[Any] | None, names: Sequence[str], of: str) -> None:
    """Draws the first `MAPPED` vectors (N, D) as points; labels (N,) give each class a colour and a marker.

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
    for i in np.unique(classes):
        color, marker = LOOKS[i % len(LOOKS)]
        look = {"color": color, "marker": marker, "linewidth": 0, "alpha": 0.8}
        axes.scatter(*places[classes == i].T, s=min(18, 12_000 / len(places)), label=names[i] if names else "", **look)
    if labels is not None and 1 < len(names) <= NAMED:
        box = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": 8, "markerscale": 1.6}
        axes.legend(**box, ncols=-(-len(names) // ROWS), title="class", handletextpad=0.2, columnspacing=0.8)
    bare(axes, f"t-SNE of {of} of {len(places):,} images")
