"""Duals on finite laws: identities, searched optima, finite differences and bounds that constructions attain."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ceae_core.audit import maths_dual as dual
from ceae_core.experiments.dual_estimator import circle_optimum
from ceae_core.losses.contrastive import info_nce


@pytest.mark.parametrize("seed", range(4))
def test_the_printed_dual_lacks_one_nat(seed):
    q, p = dual.random_laws(5, seed, 2.0)
    kl = dual.kl_divergence(q, p)
    assert q.sum() == pytest.approx(1) and p.sum() == pytest.approx(1) and kl > 0
    assert dual.printed_dual(np.log(q / p), q, p) == pytest.approx(kl - 1)
    assert dual.searched_maximum(q, p) == pytest.approx(kl - 1, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_searched_minimum_of_the_circle_is_the_closed_form(seed):
    q, p = dual.random_laws(5, seed, 2.0)
    optimum = circle_optimum(dual.kl_divergence(q, p))
    assert dual.searched_circle_minimum(q, p) == pytest.approx(optimum.loss, abs=1e-10)
    assert dual.printed_circle(np.log(q / p) + optimum.log_k, q, p) == pytest.approx(optimum.loss, abs=1e-12)


@pytest.mark.parametrize("kl", [0.2, 1.0, 6.0])
def test_the_reward_is_the_slope(kl):
    slope = (circle_optimum(kl + 1e-4).loss - circle_optimum(kl - 1e-4).loss) / 2e-4
    assert dual.circle_reward(kl) == pytest.approx(-slope, rel=1e-4) and dual.circle_reward(kl) > 0


def test_the_gradient_weight_is_that_of_the_softplus():
    f = torch.full((8,), 0.3, requires_grad=True)
    F.softplus(-f.sum()).backward()
    assert dual.summed_gradient_weight(0.3, 8) == pytest.approx(-float(f.grad[0]))


@pytest.mark.parametrize("blur", [0.0, 0.4])
def test_a_small_model_is_consistent(blur):
    model = dual.exact_model(6, 4, 3, blur)
    gap = model.log_p - (model.rec - model.kl)
    assert gap == pytest.approx(0, abs=1e-12) if blur == 0 else gap > 1e-3
    assert 0 <= model.information <= math.log(4) and model.kl_aggregate >= -1e-12
    if blur == 0:
        assert model.kl_aggregate == pytest.approx(0, abs=1e-12)
        assert model.rec - model.kl_aggregate > model.log_p + 0.05


def test_the_range_of_the_contrast_holds_for_random_codes_and_is_attained():
    bounds = dual.contrast_range(16, 0.5)
    for seed in range(5):
        first, second = torch.randn(2, 16, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        values = -info_nce(first, second, 0.5)
        assert bounds.least <= float(values.min()) and float(values.max()) <= bounds.most
        assert float((-info_nce(first, first, 0.5)).mean()) <= bounds.most_of_batch
    simplex = torch.eye(16, dtype=torch.float64) - 1 / 16
    assert -float(info_nce(simplex, simplex, 0.5).mean()) == pytest.approx(bounds.most_of_batch)
    lone = torch.cat([torch.ones(1, 2), -torch.ones(15, 2)]).double()
    assert -float(info_nce(lone, lone, 0.5)[0]) == pytest.approx(bounds.most)
    same = torch.ones(16, 2, dtype=torch.float64)
    assert -float(info_nce(same, -same, 0.5)[0]) == pytest.approx(bounds.least)


def test_the_cluster_loss_is_binary_cross_entropy_with_the_right_sign():
    logits, target = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.0, 1.0, 0.0])
    expected = float(F.binary_cross_entropy_with_logits(logits, target, reduction="sum"))
    assert dual.cluster_loss(logits.numpy(), 1) == pytest.approx(expected)
    printed = -float(F.logsigmoid(logits[1])) + float(torch.log1p(-torch.sigmoid(logits[[0, 2]])).sum())
    assert dual.cluster_loss(logits.numpy(), 1, sign=1.0) == pytest.approx(printed, rel=1e-5)
