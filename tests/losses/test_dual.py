"""The dual estimate, the critics and their losses: number by number, against known divergences, by their gradients."""

import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from torch import nn

from ceae_core.errors import CeaeError
from ceae_core.losses.dual import (
    Critics,
    Dual,
    circle_loss,
    donsker_varadhan,
    dual_kl,
    fenchel_loss,
    tamed_exp,
)
from ceae_core.models.posteriors import Latent
from ceae_core.schedules import Clock
from ceae_core.steps import Context

HIDDEN, LATENT, ROWS, CLAMP = 5, 3, 7, 1.5
values = st.lists(st.floats(-4.0, 4.0), min_size=1, max_size=9)


def softplus(a: float) -> float:
    return math.log1p(math.exp(a))


def naive_exp(f: float, clamp: float) -> float:
    return math.exp(f) if f <= clamp else math.exp(clamp) * (1.0 + f - clamp)


def mean(numbers) -> float:
    return math.fsum(numbers) / len(numbers)


def tensor(numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


# the formulas -------------------------------------------------------------------------------------------------------

@given(values, values)
def test_every_formula_number_by_number(f_q: list[float], f_p: list[float]):
    q, p = tensor(f_q), tensor(f_p)
    exact = {"abs": 1e-9, "rel": 1e-9}
    assert float(dual_kl(q, p)) == pytest.approx(mean(f_q) - mean([math.exp(f) for f in f_p]) + 1.0, **exact)
    partition = math.log(mean([math.exp(f) for f in f_p]))
    assert float(donsker_varadhan(q, p)) == pytest.approx(mean(f_q) - partition, **exact)
    tamed = mean([naive_exp(f, CLAMP) for f in f_p])
    assert float(fenchel_loss(q, p, CLAMP)) == pytest.approx(tamed - mean(f_q), **exact)
    assert float(circle_loss(q, p, CLAMP)) == pytest.approx(softplus(-mean(f_q)) + softplus(tamed), **exact)


@given(values, values)
def test_donsker_and_varadhan_are_never_below_the_dual_estimate(f_q: list[float], f_p: list[float]):
    """log x <= x - 1."""
    q, p = tensor(f_q), tensor(f_p)
    assert float(donsker_varadhan(q, p)) >= float(dual_kl(q, p)) - 1e-9


def test_the_tamed_exponential_goes_on_along_its_tangent():
    f = tensor([-2.0, 1.0, 1.5, 2.0, 5.0]).requires_grad_()
    tamed = tamed_exp(f, 1.5)
    assert tamed.tolist() == pytest.approx([math.exp(-2), math.e, math.exp(1.5), 1.5 * math.exp(1.5),
                                            4.5 * math.exp(1.5)])
    slope, = torch.autograd.grad(tamed.sum(), f)
    assert slope[[0, 1, 3, 4]].tolist() == pytest.approx([math.exp(-2), math.e, math.exp(1.5), math.exp(1.5)])


def test_a_critic_that_explodes_leaves_the_losses_finite_and_is_pushed_down():
    f = torch.tensor([1e4, -1e4]).requires_grad_()
    for loss in (fenchel_loss, circle_loss):
        value = loss(torch.zeros(2), f)
        slope, = torch.autograd.grad(value, f)
        assert torch.isfinite(value) and torch.isfinite(slope).all() and slope[0] > 0


def gaussians(points: int = 200_000) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Quantiles of q = N(1, 0.8^2) and of p = N(0, 1), so that means are integrals; mean and deviation of q."""
    standard = ndtri((np.arange(points) + 0.5) / points)
    return 1.0 + 0.8 * standard, standard, 1.0, 0.8


def log_ratio(z: np.ndarray, m: float, s: float) -> np.ndarray:
    return 0.5 * z ** 2 - 0.5 * ((z - m) / s) ** 2 - math.log(s)


def test_the_log_ratio_attains_the_kl_and_no_other_critic_exceeds_it():
    """KL(q || p) = max_f, at f = log q / p; the loss of critics is smallest there."""
    q, p, m, s = gaussians()
    best = torch.from_numpy(log_ratio(q, m, s)), torch.from_numpy(log_ratio(p, m, s))
    kl = 0.5 * (m ** 2 + s ** 2 - 1.0) - math.log(s)
    assert float(dual_kl(*best)) == pytest.approx(kl, abs=2e-4)
    assert float(donsker_varadhan(*best)) == pytest.approx(kl, abs=2e-4)
    for change in (lambda z: 0.2 + 0 * z, lambda z: -0.3 * z, np.sin, lambda z: 0.1 * z ** 2 - 0.3):
        other = tuple(f + torch.from_numpy(change(z)) for f, z in zip(best, (q, p), strict=True))
        assert float(dual_kl(*other)) < kl - 1e-3
        assert float(donsker_varadhan(*other)) < kl + 1e-4      # adding a constant changes nothing here
        assert float(fenchel_loss(*other)) > float(fenchel_loss(*best))


# the networks -------------------------------------------------------------------------------------------------------

def test_critics_have_the_published_shape():
    critics = Critics(256, 32)
    for net, inputs in ((critics.given_sentence, 288), (critics.alone, 32)):
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in linear] == [
            (inputs, 512), (512, 512), (512, 512), (512, 1)]
        assert {layer.negative_slope for layer in net if isinstance(layer, nn.LeakyReLU)} == {0.01}
        assert [type(layer) for layer in net] == [nn.Linear, nn.LeakyReLU] * 3 + [nn.Linear]
    assert critics.lr == 1e-5


def test_a_critic_is_its_layers():
    torch.manual_seed(0)
    critics, z, h = Critics(HIDDEN, LATENT, critic_hidden=4, critic_layers=2), torch.randn(2, LATENT), torch.ones(2, 5)
    for value, net, row in ((critics.f(z, h), critics.given_sentence, torch.cat([z[1], h[1]])),
                            (critics.g(z), critics.alone, z[1])):
        for layer in net:
            row = layer.weight @ row + layer.bias if isinstance(layer, nn.Linear) else row.where(row > 0, 0.01 * row)
        assert value.shape == (2,)
        torch.testing.assert_close(value[1], row[0])


def test_a_critic_never_moves_the_sentence_vector():
    critics, z, h = Critics(HIDDEN, LATENT), torch.randn(2, LATENT), torch.randn(2, HIDDEN)
    for value in (critics.f(z.requires_grad_(), h.requires_grad_()), critics.g(z)):
        by_code, by_sentence = torch.autograd.grad(value.sum(), (z, h), allow_unused=True)
        assert by_sentence is None and float(by_code.abs().sum()) > 0
    assert not torch.equal(critics.f(z, h), critics.f(z, h + 1.0))


# the term and the critics' loss -------------------------------------------------------------------------------------

def seen(views: int) -> Context:
    """Codes and sentence vectors of one or two views, in float64, beside critics."""
    torch.manual_seed(3)
    critics = Critics(HIDDEN, LATENT, critic_hidden=6, critic_layers=1).double()
    latents = [Latent(*(torch.randn(ROWS, size, dtype=torch.float64).requires_grad_() for size in (HIDDEN, 2, LATENT)))
               for _ in range(2)]
    context = Context(SimpleNamespace(critics=critics), torch.zeros(ROWS, 4), latents[0], Clock(0, 1), nullcontext)
    context.second, context.both = latents[1], views == 2
    return context


def critic(context: Context, mi: bool):
    return (lambda z, h: context.model.critics.g(z)) if mi else context.model.critics.f


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("mi", [False, True])
@pytest.mark.parametrize(("circle", "sign"), [(False, "paper"), (False, "adversarial"), (True, "paper"),
                                              (True, "adversarial")])
def test_the_encoders_term(views: int, mi: bool, circle: bool, sign: str):
    context = seen(views)
    term = Dual(None, mi=mi, circle=circle, encoder_sign=sign)(context)
    each = [critic(context, mi)(view.z, view.h).tolist() for view in context.views]
    assert len(each) == views
    if circle:
        direction = -1.0 if sign == "paper" else 1.0
        assert float(term.detach()) == pytest.approx(mean([softplus(direction * mean(f)) for f in each]), rel=1e-12)
    else:
        assert term.tolist() == pytest.approx([mean(pair) for pair in zip(*each, strict=True)], rel=1e-12)


def test_the_printed_sign_raises_the_critic_at_the_codes_and_the_other_lowers_it():
    """The deviation of eq. 19: one step along the descent of the term."""
    for sign, direction in (("paper", 1.0), ("adversarial", -1.0)):
        context = seen(1)
        value = critic(context, False)(context.latent.z, context.latent.h).mean()
        loss = Dual(None, circle=True, encoder_sign=sign)(context)
        slope, = torch.autograd.grad(loss, context.latent.z)
        with torch.no_grad():
            moved = critic(context, False)(context.latent.z - 0.01 * slope, context.latent.h).mean()
            assert direction * (moved - value) > 0


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("circle", [False, True])
def test_the_critics_loss(views: int, circle: bool):
    context, weight = seen(views), 0.7
    dual = Dual(None, circle=circle, square_weight=weight, clamp_exp=0.1)
    torch.manual_seed(9)
    value = dual.critic_loss(context)
    torch.manual_seed(9)
    prior = [torch.randn(ROWS, LATENT, dtype=torch.float64) for _ in range(views)]
    expected = 0.0
    for mi in (False, True):                                            # f and g learn in every model
        judge = critic(context, mi)
        at_codes = [judge(view.z, view.h).tolist() for view in context.views]
        at_prior = [judge(z, view.h).tolist() for z, view in zip(prior, context.views, strict=True)]
        for f_q, f_p in zip(at_codes, at_prior, strict=True):
            tamed = mean([naive_exp(f, 0.1) for f in f_p])
            one = softplus(-mean(f_q)) + softplus(tamed) if circle else tamed - mean(f_q)
            expected += one / views
        if circle and views == 2:
            expected += weight * mean([(a - b) ** 2 for a, b in zip(*at_codes, strict=True)])
    assert float(value.detach()) == pytest.approx(expected, rel=1e-12)


def test_the_critics_loss_moves_critics_only():
    context = seen(2)
    loss = Dual(None, circle=True).critic_loss(context)
    loss.backward()
    assert all(v.grad is None for view in context.views for v in (view.h, view.mu, view.z))
    assert all(float(p.grad.abs().sum()) > 0 for p in context.model.critics.parameters())


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_each_call_draws_the_prior_anew(seed: int):
    context, dual = seen(1), Dual(None)
    torch.manual_seed(seed)
    assert not torch.equal(dual.critic_loss(context), dual.critic_loss(context))


def test_an_unknown_sign_is_refused():
    with pytest.raises(CeaeError, match="encoder_sign.*'plus'.*paper or adversarial"):
        Dual(None, encoder_sign="plus")
