"""Codes laid out in the plane, and what numbers say of how the classes lie there."""

from collections.abc import Mapping

import numpy as np
import torch

from ceae_core.errors import CeaeError

METHODS = ("PCA", "t-SNE")
NEIGHBOURS = 11         # odd, so that two classes cannot tie
PERPLEXITY = 30.0           # of t-SNE: about as many neighbours as a point keeps near (maaten2008visualizing)


def lay_out(codes: np.ndarray, method: str, seed: int) -> np.ndarray:
    """(N, 2) places of codes (N, Z): by PCA, the two directions of most variance, or by t-SNE.

    Raises CeaeError for another method and for fewer than 4 codes.
    """
    if method not in METHODS:
        raise CeaeError(f"map: unknown method {method!r}; choose {' or '.join(METHODS)}")
    if len(codes) < 4:
        raise CeaeError(f"map: {len(codes)} sentences are too few for a picture; take at least 4")
    from sklearn.decomposition import PCA
    if method == "PCA":
        return PCA(2, random_state=seed).fit_transform(codes)
    from sklearn.manifold import TSNE
    spread = codes.std() or 1.0                             # t-SNE starts from PCA scaled to a small size of its own
    return TSNE(2, perplexity=min(PERPLEXITY, (len(codes) - 1) / 3), init="pca", random_state=seed,
                n_jobs=1).fit_transform((codes / spread).astype(np.float64))


def neighbour_accuracy(points: np.ndarray, classes: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Share of points (N, D) whose class (N,) most of their nearest neighbours have, themselves left out."""
    from sklearn.neighbors import KNeighborsClassifier
    near = KNeighborsClassifier(min(neighbours, len(points) - 1) + 1).fit(points, classes).kneighbors(
        points, return_distance=False)
    votes = np.stack([(classes[_others(near)] == kind).sum(1) for kind in np.unique(classes)], 1)
    return float((np.unique(classes)[votes.argmax(1)] == classes).mean())


def _others(near: np.ndarray) -> np.ndarray:
    """(N, k) of (N, k + 1) nearest points without the point itself; where copies crowd it out, without the last."""
    itself = near == np.arange(len(near))[:, None]
    itself[~itself.any(1), -1] = True
    return near[~itself].reshape(len(near), -1)


def silhouette(points: np.ndarray, classes: np.ndarray) -> float:
    """Mean silhouette of the classes, from -1 to 1; 0 where they lie on top of each other (rousseeuw1987silhouettes).
    """
    from sklearn.metrics import silhouette_score
    return float(silhouette_score(points, classes))


def describe(codes: torch.Tensor, classes: np.ndarray, seed: int) -> Mapping[str, object]:
    """`places` by method (N, 2), and by space, "codes" or a method, `silhouette` and `neighbour_accuracy_percent`."""
    values = codes.double().numpy()
    places = {method: lay_out(values, method, seed) for method in METHODS}
    spaces = {"codes": values, **places}
    return {"places": {method: np.round(points.astype(float), 3).tolist() for method, points in places.items()},
            "silhouette": {name: silhouette(points, classes) for name, points in spaces.items()},
            "neighbour_accuracy_percent": {name: 100.0 * neighbour_accuracy(points, classes)
                                           for name, points in spaces.items()}}
