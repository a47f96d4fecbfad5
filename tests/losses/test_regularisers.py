"""Regularisers without a KL, against loops over pairs and the properties that define them."""

import math
from types import SimpleNamespace

import pytest
import torch

from ceae_core.losses.regularisers import MMD, SCALES, code_norm, decoder_norm, imq_kernel, mmd
from ceae_core.models.posteriors import Deterministic
from ceae_core.steps import Context


def draws(n: int, latent: int, seed: int) -> torch.Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_kernel(a: list[float], b: list[float], bandwidth: float) -> float:
    distance = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return sum(2 * len(a) * s * bandwidth / (2 * len(a) * s * bandwidth + distance)
               for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))


@pytest.mark.parametrize("bandwidth", [1.0, 0.3])
def test_the_discrepancy_is_its_sums_over_pairs(bandwidth: float):
    codes, prior = draws(6, 3, 0) * 1.7 + 0.4, draws(6, 3, 1)
    a, b = codes.tolist(), prior.tolist()
    within = sum(naive_kernel(x[i], x[j], bandwidth) for x in (a, b) for i in range(6) for j in range(6) if i != j) / 30
    across = sum(naive_kernel(x, y, bandwidth) for x in a for y in b) / 36
    assert float(mmd(codes, prior, bandwidth)) == pytest.approx(within - 2 * across, rel=1e-12)
    torch.testing.assert_close(imq_kernel(codes, prior, bandwidth)[2, 4],
                               torch.tensor(naive_kernel(a[2], b[4], bandwidth), dtype=torch.float64))


def test_a_code_is_nearest_to_itself():
    assert torch.equal(imq_kernel(draws(3, 2, 0), draws(3, 2, 0)).diagonal(), torch.full((3,), 7.0).double())
    assert len(SCALES) == 7


def test_codes_from_the_prior_have_no_discrepancy_on_average():
    """Without bias: the mean over many batches of 8 is 0, and single batches are below it."""
    values = torch.stack([mmd(draws(8, 2, 2 * seed), draws(8, 2, 2 * seed + 1)) for seed in range(2000)])
    assert abs(float(values.mean())) < 4 * float(values.std()) / math.sqrt(2000)
    assert 0.3 < float((values < 0).double().mean()) < 0.8


@pytest.mark.parametrize("change", [lambda z: z + 1.0, lambda z: 2.0 * z, lambda z: 0.3 * z, lambda z: z.sign()])
def test_other_codes_are_told_from_the_prior(change):
    values = torch.stack([mmd(change(draws(64, 2, 2 * seed)), draws(64, 2, 2 * seed + 1)) for seed in range(30)])
    assert float(values.mean()) > 5 * float(values.std()) / math.sqrt(30)


def test_the_term_compares_the_decoders_code_with_fresh_draws_of_the_prior():
    posterior, z = Deterministic(4, 3, True), draws(10, 3, 0).float().requires_grad_()
    context = SimpleNamespace(latent=SimpleNamespace(z=z, mu=z + 9.0), model=SimpleNamespace(posterior=posterior))
    torch.manual_seed(1)
    first, second = MMD(None, bandwidth=0.5)(context), MMD(None, bandwidth=0.5)(context)
    torch.manual_seed(1)
    expected = mmd(z, torch.randn(10, 3), 0.5)
    torch.testing.assert_close(first, expected)
    assert not torch.equal(first, second)
    slope, = torch.autograd.grad(first, z)
    assert float(slope.abs().sum()) > 0
    assert MMD.smallest_batch == 2


def test_norms_are_half_the_squares_and_pull_at_their_own_weights(smoke):
    training = smoke("rae")
    model, x = training.model, training.train_set.batch(training.batches[0])
    latent = model.encode(x, training.clock())
    context = Context(model, x, latent, training.clock(), training.autocast)
    z = latent.z.detach()
    torch.testing.assert_close(code_norm(context).detach(), 0.5 * (z * z).sum(1))
    squares = sum(float((p.detach().double() ** 2).sum()) for p in model.decoder.parameters())
    assert float(decoder_norm(context).detach()) == pytest.approx(0.5 * squares, rel=1e-5)
    decoder_norm(context).backward()
    for name, weight in model.named_parameters():
        if name.startswith("decoder."):
            torch.testing.assert_close(weight.grad, weight.detach())
        else:
            assert weight.grad is None
