"""Contrasts against loops, the entropy regulariser's lower bound, and the momentum encoder step by step."""

import copy
import io
import itertools
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ceae_core.errors import CeaeError
from ceae_core.losses.contrastive import MomentumContrast, entropy_contrast, info_nce, view_contrast
from ceae_core.models.autoencoder import TextAutoencoder, build
from ceae_core.models.posteriors import Deterministic, Latent
from ceae_core.schedules import Clock
from ceae_core.steps import Context

LATENT, MOMENTUM = 3, 0.75


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(mu, keys, cached, temperature, normalise, include_positive) -> torch.Tensor:
    """The definition, sentence by sentence and negative by negative."""
    if normalise:
        mu, keys, cached = ([v / v.dot(v).sqrt() for v in rows] for rows in (mu, keys, cached))
    losses = []
    for i, code in enumerate(mu):
        positive = code.dot(keys[i]) / temperature
        total = positive.exp() if include_positive else 0.0
        for j, other in enumerate(mu):
            if j != i:
                total = total + (code.dot(other) / temperature).exp()
        for other in cached:
            total = total + (code.dot(other) / temperature).exp()
        losses.append(total.log() - positive)
    return torch.stack(losses)


@pytest.mark.parametrize(("temperature", "normalise", "include_positive", "cached"),
                         [*itertools.product((1.0, 0.3), (False, True), (False, True), (0, 4))])
def test_entropy_contrast_is_its_definition(temperature, normalise, include_positive, cached):
    mu, keys, earlier = normal(6, LATENT).requires_grad_(), normal(6, LATENT, seed=1), normal(cached, LATENT, seed=2)
    options = {"temperature": temperature, "normalise": normalise, "include_positive": include_positive}
    values = entropy_contrast(mu, keys, earlier, **options)
    expected = naive(mu, keys, earlier, **options)
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-12)
    slope, = torch.autograd.grad(values.sum(), mu)
    naive_slope, = torch.autograd.grad(expected.sum(), mu)
    torch.testing.assert_close(slope, naive_slope, rtol=1e-10, atol=1e-10)


def bound(batch: int, latent: int) -> float:
    """Least batch mean for codes that batch norm has centred and scaled, their own codes as keys (Jensen)."""
    return -latent + math.log(batch - 1) - latent / (batch - 1)


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 9), st.sampled_from(["normal", "signs", "outlier"]))
@settings(max_examples=60, deadline=None)
def test_batch_norm_bounds_the_contrast_from_below(seed: int, batch: int, latent: int, kind: str):
    x = normal(batch, latent, seed=seed)
    if kind == "signs":
        x = x.sign() + 1e-3 * x
    if kind == "outlier":
        x[0] += 50.0
    mu = nn.BatchNorm1d(latent, affine=False, eps=1e-12).double()(x)
    assert float(entropy_contrast(mu, mu, mu[:0]).mean()) >= bound(batch, latent) - 1e-9


@pytest.mark.parametrize("latent", [1, 4, 31])
def test_a_regular_simplex_reaches_that_bound(latent: int):
    """P + 1 codes of pairwise equal distance have unit variance per unit after a suitable rotation and attain it."""
    corners = torch.eye(latent + 1, dtype=torch.float64) - 1.0 / (latent + 1)
    u, s, _ = torch.linalg.svd(corners)
    mu = (u * s)[:, :latent] * math.sqrt(latent + 1)
    torch.testing.assert_close((mu ** 2).mean(0), torch.ones(latent, dtype=torch.float64))
    assert float(entropy_contrast(mu, mu, mu[:0]).mean()) == pytest.approx(bound(latent + 1, latent), abs=1e-9)


def test_raw_inner_products_of_512_units_do_not_overflow():
    mu = normal(8, 512).float() * 3.0
    values = entropy_contrast(mu, mu, mu[:0])
    assert torch.isfinite(values).all() and float(values.min()) < -1000


# the contrast of two views ---------------------------------------------------------------------------------------

def naive_info_nce(anchors, positives, temperature, left_out=()) -> torch.Tensor:
    """Eq. 8 of clvm: cosines, sentence by sentence; the positive and the other anchors in the denominator."""
    def similarity(a, b):
        return (a.dot(b) / a.norm() / b.norm() / temperature).exp()

    losses = []
    for i, anchor in enumerate(anchors):
        positive = similarity(anchor, positives[i])
        others = [similarity(anchor, other) for j, other in enumerate(anchors) if j != i and (i, j) not in left_out]
        losses.append(-(positive / (positive + sum(others))).log())
    return torch.stack(losses)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_info_nce_is_its_definition(temperature: float):
    anchors, positives = normal(6, LATENT).requires_grad_(), normal(6, LATENT, seed=1).requires_grad_()
    value, expected = info_nce(anchors, positives, temperature), naive_info_nce(anchors, positives, temperature)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    slopes = (torch.autograd.grad(v.sum(), (anchors, positives)) for v in (value, expected))
    for slope, naive_slope in zip(*slopes, strict=True):
        torch.testing.assert_close(slope, naive_slope, rtol=1e-9, atol=1e-9)


def test_pairs_that_are_left_out_are_no_negatives():
    anchors, positives, pairs = normal(5, LATENT), normal(5, LATENT, seed=1), {(0, 3), (3, 0), (2, 2), (4, 1)}
    left_out = torch.zeros(5, 5, dtype=torch.bool)
    left_out[tuple(zip(*pairs, strict=True))] = True
    value = info_nce(anchors, positives, 0.3, left_out)         # (2, 2): the positive always counts
    torch.testing.assert_close(value, naive_info_nce(anchors, positives, 0.3, pairs), rtol=1e-10, atol=1e-10)


def test_info_nce_at_chance_is_log_of_the_batch():
    same = torch.ones(8, LATENT)
    torch.testing.assert_close(info_nce(same, same, 0.05), torch.full((8,), math.log(8)))
    assert float(info_nce(normal(1, LATENT), normal(1, LATENT), 0.05)) == 0.0               # alone in its batch


def test_only_directions_matter_and_extreme_similarities_stay_finite():
    anchors, positives = normal(6, LATENT), normal(6, LATENT, seed=1)
    value = info_nce(anchors, positives, 0.05)
    torch.testing.assert_close(info_nce(1e3 * anchors, 1e-3 * positives, 0.05), value)
    assert torch.isfinite(info_nce(anchors.float(), -anchors.float(), 1e-3)).all()


def two_views() -> Context:
    first = Latent(normal(6, 4), normal(6, LATENT, seed=1), normal(6, LATENT, seed=2))
    second = Latent(normal(6, 4, seed=3), normal(6, LATENT, seed=4), normal(6, LATENT, seed=5))
    return Context(None, None, first, Clock(0, 1), nullcontext, second)


def test_views_are_contrasted_by_codes_or_by_sentence_vectors():
    context = two_views()
    first, second = context.latent, context.second
    for options, expected in (({}, naive_info_nce(first.z, second.z, 0.05)),
                              ({"contrast_temperature": 0.4}, naive_info_nce(first.z, second.z, 0.4)),
                              ({"contrast_on": "h"}, naive_info_nce(first.h, second.h, 0.05))):
        torch.testing.assert_close(view_contrast(context, **options), expected, rtol=1e-9, atol=1e-9)
    with pytest.raises(CeaeError, match="contrast_on.*'mu'.*z or h"):
        view_contrast(context, contrast_on="mu")


# the momentum encoder --------------------------------------------------------------------------------------------

VOCABULARY, STEP = 12, 7


def model(norm: str = "batch", global_every: int = 0) -> TextAutoencoder:
    torch.manual_seed(0)
    return build(partial(Deterministic, norm=norm, global_every=global_every), VOCABULARY, embedding=4, hidden=5,
                 latent=LATENT, init="wide").train()


def batch(seed: int, rows: int = 4) -> torch.Tensor:
    x = torch.randint(4, VOCABULARY, (rows, 6), generator=torch.Generator().manual_seed(seed))
    x[:, 0], x[:, -1] = 1, 2
    return x


def seen(of: TextAutoencoder, x: torch.Tensor, step: int = STEP) -> Context:
    clock = Clock(step, 10)
    return Context(of, x, of.encode(x, clock), clock, nullcontext)


def nudge(of: TextAutoencoder) -> None:
    """Stands for an optimiser step."""
    with torch.no_grad():
        for p in of.parameters():
            p.add_(0.1)


@pytest.fixture
def pair() -> tuple[TextAutoencoder, MomentumContrast]:
    made = model()
    return made, MomentumContrast(made, momentum=MOMENTUM, cached_batches=2)


def test_the_key_encoder_moves_by_its_momentum_before_keys_are_computed(pair):
    main, contrast = pair
    before = {name: p.clone() for name, p in contrast.named_parameters()}
    nudge(main)
    context = seen(main, batch(1))
    value = contrast(context)
    theirs = dict(main.named_parameters())
    assert len(before) == 6         # embedding, four of the LSTM, head
    for name, own in contrast.named_parameters():
        expected = MOMENTUM * before[name] + (1 - MOMENTUM) * theirs[name]
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-7)
        assert not torch.equal(own, before[name]) and not torch.equal(own, theirs[name])
    follower = copy.deepcopy(main)
    follower.load_state_dict({**main.state_dict(), **contrast_weights(contrast)})
    keys = follower.train().encode(batch(1)).mu.detach()
    torch.testing.assert_close(value, entropy_contrast(context.latent.mu, keys, keys[:0]))


def contrast_weights(contrast: MomentumContrast) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in contrast.named_parameters()}


def test_batch_norms_running_statistics_are_copied_not_averaged(pair):
    main, contrast = pair
    with torch.no_grad():
        main.posterior.norm.batch.running_mean.fill_(0.7)
        main.posterior.norm.batch.running_var.fill_(5.0)
        main.posterior.norm.batch.num_batches_tracked.fill_(40)
    contrast.eval().posterior.eval()
    main.eval()
    contrast(seen(main, batch(2)))
    for name, own in contrast.posterior.named_buffers():
        assert torch.equal(own, dict(main.posterior.named_buffers())[name]), name


def test_keys_are_normalised_like_the_codes_of_that_step():
    """On a step with global statistics the keys use the running statistics of the main encoder, else the batch's."""
    main = model(global_every=4)
    contrast = MomentumContrast(main, momentum=1.0, cached_batches=1)
    frozen = copy.deepcopy(main)
    for step, running in ((7, True), (8, False)):
        with torch.no_grad():
            for net in (main, frozen):
                net.posterior.norm.batch.running_mean.fill_(0.3)
                net.posterior.norm.batch.running_var.fill_(2.0)
        contrast(seen(main, batch(3), step))
        h = frozen.encoder(batch(3), torch.full((4,), 6))
        expected = frozen.posterior.norm(frozen.posterior.head(h), running=running)
        torch.testing.assert_close(contrast.cache[-1], expected.detach())


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_the_cache_holds_the_keys_of_the_last_batches_oldest_first(keep: int):
    main = model()
    contrast = MomentumContrast(main, momentum=MOMENTUM, cached_batches=keep)
    keys, sizes = [], (4, 2, 5, 3, 4)
    for i, rows in enumerate(sizes):
        nudge(main)
        context = seen(main, batch(10 + i, rows))
        held = list(contrast.cache)
        value = contrast(context)
        assert [len(k) for k in held] == list(sizes[:i])[max(0, i - keep):] * bool(keep)
        keys.append(contrast.cache[-1] if keep else None)
        if keep:
            earlier = torch.cat([keys[i][:0], *held])
            torch.testing.assert_close(value, entropy_contrast(context.latent.mu, keys[i], earlier))
    assert all(a is b for a, b in zip(contrast.cache, keys[len(keys) - keep:], strict=True))


def test_a_module_in_evaluation_caches_nothing(pair):
    main, contrast = pair
    contrast.eval()
    contrast(seen(main, batch(1)))
    assert contrast.cache == []


def test_gradients_reach_the_codes_and_never_the_keys(pair):
    main, contrast = pair
    contrast(seen(main, batch(1)))                      # fills the cache
    nudge(main)
    context = seen(main, batch(2))
    value = contrast(context)
    slope, = torch.autograd.grad(value.sum(), context.latent.mu, retain_graph=True)
    keys, earlier = contrast.cache[-1], contrast.cache[0]
    mu = context.latent.mu.detach().requires_grad_()
    expected, = torch.autograd.grad(entropy_contrast(mu, keys, earlier).sum(), mu)
    torch.testing.assert_close(slope, expected)
    value.sum().backward()
    assert not keys.requires_grad and not earlier.requires_grad
    assert all(not p.requires_grad and p.grad is None for p in contrast.parameters())
    assert all(p.grad is None for p in main.decoder.parameters())
    assert float(main.posterior.head.weight.grad.abs().sum()) > 0
    assert float(main.encoder.embedding.weight.grad.abs().sum()) > 0


def test_the_key_encoder_is_a_copy_that_only_calls_move(pair):
    main, contrast = pair
    before = {name: value.clone() for name, value in contrast.state_dict().items() if isinstance(value, torch.Tensor)}
    nudge(main)
    assert len(before) > 6
    assert all(torch.equal(contrast.state_dict()[name], value) for name, value in before.items())


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_saved_state_continues_exactly(pair):
    main, contrast = pair
    for i in range(3):
        nudge(main)
        contrast(seen(main, batch(i)))
    other = MomentumContrast(model(), momentum=MOMENTUM, cached_batches=2)
    other.load_state_dict(through_a_file(contrast.state_dict()))
    twin = copy.deepcopy(main)
    for i in range(3, 6):
        nudge(main)
        nudge(twin)
        assert torch.equal(contrast(seen(main, batch(i))), other(seen(twin, batch(i))))


def test_reduction_sum_is_the_mean_times_the_batch():
    values: dict[str, Callable] = {}
    for reduction in ("mean", "sum"):
        main = model()
        values[reduction] = MomentumContrast(main, reduction=reduction)(seen(main, batch(1, 5)))
    torch.testing.assert_close(values["sum"].mean(), values["mean"].sum())


def test_an_unknown_reduction_is_refused():
    with pytest.raises(CeaeError, match="reduction.*'max'.*mean or sum"):
        MomentumContrast(model(), reduction="max")


def test_a_training_leaves_out_batches_without_a_negative(smoke):
    """1200 sentences in batches of 11 leave one over: with nothing to contrast it with, its loss would be -inf."""
    alone = {"norm": "layer", "batch_size": 11, "cached_batches": 0}
    assert min(map(len, smoke("ceae", **alone).batches)) > 1
    assert min(map(len, smoke("ae", norm="layer", batch_size=11).batches)) == 1
