"""The nearest-neighbour entropy against a naive recomputation, known entropies and the ways in which it can break."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.special import digamma, gamma

from ceae_core.errors import CeaeError
from ceae_core.losses.entropy import NearestNeighbourEntropy, kozachenko_leonenko
from ceae_core.spec import resolve
from ceae_core.training import Diverged, Training


def codes(n: int, latent: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("neighbours", [1, 2, 5])
@pytest.mark.parametrize(("n", "latent"), [(6, 1), (32, 4), (100, 32)])
def test_the_estimator_is_its_formula(n: int, latent: int, neighbours: int):
    x = codes(n, latent)
    distance = cKDTree(x.numpy()).query(x.numpy(), k=neighbours + 1)[0][:, neighbours]
    volume = math.pi ** (latent / 2) / gamma(latent / 2 + 1)
    expected = latent * np.log(distance) + math.log(volume) + digamma(n) - digamma(neighbours)
    torch.testing.assert_close(kozachenko_leonenko(x, neighbours), torch.from_numpy(expected))


def test_the_papers_form_differs_by_a_constant():
    """log Y_i + log B_d + gamma with Y_i = N R_i^d, for N + 1 codes (ceae, sec. 3.1)."""
    x, latent = codes(21, 3), 3
    distance = cKDTree(x.numpy()).query(x.numpy(), k=2)[0][:, 1]
    ball = math.pi ** (latent / 2) / gamma(latent / 2 + 1)
    printed = np.log(20 * distance ** latent) + math.log(ball) + np.euler_gamma
    difference = kozachenko_leonenko(x).numpy() - printed
    assert np.ptp(difference) < 1e-12 and difference[0] == pytest.approx(1 / 40, abs=1e-3)


@pytest.mark.parametrize("latent", [1, 2, 4])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_the_entropy_of_a_gaussian(latent: int, neighbours: int):
    scale = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)[:latent]
    truth = 0.5 * latent * math.log(2 * math.pi * math.e) + float(scale.log().sum())
    values = kozachenko_leonenko(codes(4000, latent) * scale, neighbours)
    assert float(values.mean()) == pytest.approx(truth, abs=5 * float(values.std()) / math.sqrt(4000) + 0.03)


def test_the_entropy_of_a_cube():
    x = 3.0 * torch.rand(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(kozachenko_leonenko(x).mean()) == pytest.approx(2 * math.log(3.0), abs=0.1)


def test_what_moves_the_entropy_and_what_does_not():
    x = codes(50, 5)
    rotation = torch.linalg.qr(codes(5, 5, 1))[0]
    entropy = kozachenko_leonenko(x)
    torch.testing.assert_close(kozachenko_leonenko(x @ rotation + 7.0), entropy)
    torch.testing.assert_close(kozachenko_leonenko(2.5 * x), entropy + 5 * math.log(2.5))
    order = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(kozachenko_leonenko(x[order]), entropy[order])


@pytest.mark.parametrize("neighbours", [1, 2])
def test_the_gradient_is_the_slope(neighbours: int):
    x = codes(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: kozachenko_leonenko(v, neighbours), (x,))


def test_equal_codes_give_a_number_and_no_push():
    x = codes(8, 3)
    x[5] = x[2]
    x.requires_grad_()
    assert torch.equal(torch.isfinite(kozachenko_leonenko(x)), torch.tensor([i not in (2, 5) for i in range(8)]))
    values = kozachenko_leonenko(x, nearest=1e-4)
    assert torch.isfinite(values).all()
    floor = 3 * math.log(1e-4) + math.log(4 * math.pi / 3) + float(digamma(8) - digamma(1))
    assert values[[2, 5]].tolist() == pytest.approx([floor, floor])
    slope, = torch.autograd.grad(values[[2, 5]].sum(), x, retain_graph=True)
    assert float(slope.abs().max()) == 0.0
    slope, = torch.autograd.grad(values.sum(), x)
    assert torch.isfinite(slope).all() and float(slope.abs().sum()) > 0
    assert torch.isfinite(kozachenko_leonenko(torch.ones(5, 2), nearest=1e-6)).all()


def test_a_sentence_twice_in_a_batch_ends_the_training_with_the_printed_estimator_only(tmp_path):
    """Text as it is has repeated sentences, whose distance is 0: one way in which a direct implementation fails."""
    for split in ("train", "valid", "test"):
        lines = [f"a b c {n} ." for n in range(12)] * (2 if split == "train" else 1)
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    for nearest, ends in ((0.0, pytest.raises(Diverged)), (1e-6, nullcontext())):
        spec = resolve("ceae-knn", str(tmp_path), "smoke", set={"nearest": nearest, "precision": "fp32"})
        corpus = spec.load_corpus()
        assert len(corpus.splits["train"].sentences) == 24
        with ends:
            Training(spec, corpus, corpus.vocabulary(), torch.device("cpu")).run(lambda now: None)


def test_the_loss_is_minus_the_entropy_of_the_codes_without_noise():
    """Descent on it drives near codes apart."""
    mu = torch.tensor([[0.0, 0.0], [0.1, 0.0], [3.0, 3.0]], requires_grad=True)
    context = SimpleNamespace(latent=SimpleNamespace(mu=mu, z=mu + torch.randn(3, 2)))
    loss = NearestNeighbourEntropy(None)(context)
    torch.testing.assert_close(loss, -kozachenko_leonenko(mu))
    far = NearestNeighbourEntropy(None, neighbours=2, nearest=9.0)(context)
    torch.testing.assert_close(far, -kozachenko_leonenko(mu, 2, 9.0))
    assert (far < -kozachenko_leonenko(mu, 2)).all()
    slope, = torch.autograd.grad(loss.sum(), mu)
    assert float(slope[0, 0]) > 0 > float(slope[1, 0])


def test_a_batch_needs_more_codes_than_neighbours(smoke):
    assert NearestNeighbourEntropy(None).smallest_batch == 2
    training = smoke("ceae-knn", neighbours=3, batch_size=11)           # 1200 = 109 * 11 + 1: the last row is left out
    assert min(map(len, training.batches)) == 11
    with pytest.raises(CeaeError, match="no batch"):
        smoke("ceae-knn", neighbours=11, batch_size=11)
