"""Places in the plane, and the numbers that say how classes lie there."""

import numpy as np
import pytest
import torch

from ceae_core.errors import CeaeError
from ceae_core.measure import maps


def clusters(apart: float, count: int = 60, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.arange(count) % 2
    points = rng.normal(size=(count, size)) * np.array([1.0, 1, 0.1, 0.1, 0.1])[:size]
    points[:, 0] += apart * kinds
    return points, kinds


def test_pca_keeps_the_directions_of_most_variance() -> None:
    points, _ = clusters(0.0)
    places = maps.lay_out(points, "PCA", 1)
    centred = points - points.mean(0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(places), np.abs(centred @ directions[:2].T), atol=1e-8)


def test_tsne_keeps_neighbours_and_a_seed_its_picture() -> None:
    points, kinds = clusters(12.0)
    places = maps.lay_out(points, "t-SNE", 1)
    assert places.shape == (60, 2) and maps.neighbour_accuracy(places, kinds) == 1.0
    np.testing.assert_array_equal(places, maps.lay_out(points, "t-SNE", 1))
    small = maps.lay_out(1e-4 * points, "t-SNE", 1)             # the length of codes does not matter
    assert maps.neighbour_accuracy(small, kinds) == 1.0


def test_neighbours_by_hand() -> None:
    """On a line: 0 1 2 | 10 11 12; with two neighbours each, and the class of 2 turned."""
    points = np.array([0.0, 1, 2, 10, 11, 12])[:, None]
    assert maps.neighbour_accuracy(points, np.array([0, 0, 0, 1, 1, 1]), 2) == 1.0
    turned = np.array([0, 0, 1, 1, 1, 1])                   # 0 and 1 have one neighbour of each class: a tie, class 0
    assert maps.neighbour_accuracy(points, turned, 2) == 5 / 6


def test_a_point_is_no_neighbour_of_itself_among_copies() -> None:
    points, kinds = np.zeros((8, 2)), np.array([0] * 4 + [1] * 4)
    assert maps.neighbour_accuracy(points, kinds, 3) < 1.0      # copies say nothing of the class
    alone = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert maps.neighbour_accuracy(alone, np.array([0, 1, 1, 0]), 1) == 0.0


def test_random_classes_are_guessed() -> None:
    points = np.random.default_rng(1).normal(size=(1500, 3))
    kinds = np.random.default_rng(2).integers(0, 2, 1500)
    assert abs(maps.neighbour_accuracy(points, kinds) - 0.5) < 4 * (0.25 / 1500) ** 0.5
    assert abs(maps.silhouette(points, kinds)) < 0.01


def test_silhouette_by_hand() -> None:
    """Classes {0, 1} and {4, 5} on a line: a(0) = 1, b(0) = 4.5 and a(1) = 1, b(1) = 3.5; mirrored for the others."""
    value = maps.silhouette(np.array([0.0, 1, 4, 5])[:, None], np.array([0, 0, 1, 1]))
    assert value == pytest.approx(((1 - 1 / 4.5) + (1 - 1 / 3.5)) / 2)


def test_everything_that_is_told() -> None:
    points, kinds = clusters(8.0)
    found = maps.describe(torch.from_numpy(points), kinds, 1)
    assert set(found["places"]) == {"PCA", "t-SNE"} and np.shape(found["places"]["PCA"]) == (60, 2)
    assert found["silhouette"]["codes"] == pytest.approx(maps.silhouette(points, kinds))
    assert found["neighbour_accuracy_percent"]["codes"] == 100.0
    assert set(found["silhouette"]) == {"codes", "PCA", "t-SNE"}


def test_what_has_no_picture() -> None:
    with pytest.raises(CeaeError, match="PCA or t-SNE"):
        maps.lay_out(np.zeros((9, 2)), "UMAP", 1)
    with pytest.raises(CeaeError, match="3 sentences are too few"):
        maps.lay_out(np.zeros((3, 2)), "PCA", 1)
