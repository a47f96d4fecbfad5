"""Schedules against their definitions, and c0 against the values that the rule gives on known corpora."""

import math
import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ceae_core import corpora
from ceae_core.schedules import (
    Clock,
    capacity_noise,
    capped_warmup,
    constant,
    cyclical,
    decaying_noise,
    entropy_weight,
    halves_and_quarters,
    lr_factor,
    warmup,
)

PTB_SEGMENTS = 11_083_096


def at(elapsed: float) -> Clock:
    """The clock after that many schedule epochs of 100 steps."""
    return Clock(round(elapsed * 100), 100)


@pytest.mark.parametrize(("unit", "step", "epoch"), [
    (1.0, 0, 1), (1.0, 9, 1), (1.0, 10, 2), (1.0, 29, 3), (1.0, 30, 4),
    (0.5, 4, 1), (0.5, 5, 2), (0.25, 10, 5), (2.0, 19, 1), (2.0, 20, 2), (0.1, 3, 4), (0.3, 6, 3)])
def test_epochs_count_from_one_and_a_unit_rescales_them(unit: float, step: int, epoch: int):
    clock = Clock(step, 10, unit)
    assert clock.elapsed == pytest.approx(step / 10 / unit)
    assert clock.epoch == epoch


def test_learning_rates():
    """By hand: the rise, the half that falls, the half cosine with its end; other rules are no functions of time."""
    assert [lr_factor("half", step, 8) for step in (0, 4, 6, 7, 8)] == [1.0, 1.0, 0.5, 0.25, 0.0]
    found = [lr_factor("cosine", step, 12, warmup_steps=4, end=0.2) for step in (0, 1, 3, 4, 6, 8, 12, 13)]
    eighth = 0.2 + 0.8 * 0.5 * (1 + math.sqrt(0.5))
    assert found == pytest.approx([0.25, 0.5, 1.0, 1.0, eighth, 0.6, 0.2, 0.2])
    assert [lr_factor(rule, 3, 4) for rule in ("none", "plateau")] == [1.0, 1.0]
    assert lr_factor("none", 1, 4, warmup_steps=8) == 0.25


def test_warmup_is_linear_and_then_one():
    expected = {0: 0.2, 2.5: 0.4, 5: 0.6, 10: 1.0, 10.01: 1.0, 50: 1.0}
    for elapsed, weight in expected.items():
        assert warmup(at(elapsed), kl_start=0.2, warmup_epochs=10) == pytest.approx(weight)
    assert warmup(at(0)) == 0.0 and warmup(at(5)) == 0.5
    assert warmup(at(0), warmup_epochs=0) == constant(at(0)) == 1.0


@given(st.floats(0, 40), st.floats(0.0, 1.0))
def test_the_capped_ramp_is_the_ramp_below_its_cap(elapsed: float, beta: float):
    assert capped_warmup(at(elapsed), beta=beta) == min(beta, warmup(at(elapsed)))


def test_a_cycle_ramps_and_holds_and_starts_again():
    """Cycle 20, ramp 10: cycles begin at epochs 0, 20, 40, …"""
    for cycle in (0, 20, 40):
        for inside, weight in {0: 0.0, 2.5: 0.25, 5: 0.5, 10: 1.0, 15: 1.0, 19.99: 1.0}.items():
            assert cyclical(at(cycle + inside)) == pytest.approx(weight)
    assert cyclical(at(3), cycle_epochs=4, ramp_fraction=1.0, kl_start=0.2) == pytest.approx(0.2 + 0.8 * 3 / 4)


@given(st.integers(0, 900), st.integers(1, 20))
def test_the_first_cycle_is_the_warmup(step: int, ramp: int):
    clock = Clock(step, 10)
    assume(clock.elapsed < 100)
    weight = cyclical(clock, cycle_epochs=100.0, ramp_fraction=ramp / 100)
    assert weight == pytest.approx(warmup(clock, warmup_epochs=float(ramp)), abs=1e-12)


def test_halves_and_quarters_of_what_follows_the_lead():
    """0 for half of the steps, then a ramp over a quarter, then 1; nothing before the lead is over."""
    for step, weight in {0: 0.0, 99: 0.0, 100: 0.0, 300: 0.0, 350: 0.5, 375: 0.75, 400: 1.0, 499: 1.0}.items():
        assert halves_and_quarters(Clock(step, 10, 0.5, lead=100, total=500)) == pytest.approx(weight)
    assert halves_and_quarters(Clock(250, 10, lead=0, total=400)) == 0.5


def test_epochs_count_from_the_lead():
    for step, epoch in {0: 1, 30: 1, 34: 1, 35: 2, 39: 2, 40: 3}.items():
        assert Clock(step, 10, 0.5, lead=30, total=99).epoch == epoch


def test_a_linear_rate_ends_at_nothing():
    assert [lr_factor("linear", step, 8) for step in range(9)] == pytest.approx([1 - step / 8 for step in range(9)])
    assert lr_factor("linear", 1, 8, warmup_steps=4) == 0.5


def test_the_entropy_weight_grows_from_nothing():
    """lambda_1 = 0, so the first epoch has no contrast; half of lambda_0 in the second."""
    weights = [entropy_weight(Clock(epoch * 10 + 3, 10), lambda0=8e-3) for epoch in range(5)]
    assert weights == pytest.approx([0.0, 4e-3, 8e-3 * 2 / 3, 6e-3, 6.4e-3])
    assert entropy_weight(at(1)) == 3e-3


def test_the_noise_decays_as_one_over_t_and_then_stops():
    levels = [decaying_noise(Clock(epoch * 10 + 3, 10), c0=0.6, t_max=3) for epoch in range(5)]
    assert levels == pytest.approx([0.6, 0.3, 0.2, 0.0, 0.0])
    assert decaying_noise(at(9.99), c0=1.0) == pytest.approx(0.1) and decaying_noise(at(10), c0=1.0) == 0.0


def sentences_with(segments: int) -> list[int]:
    """Lengths n of sentences whose sum of n(n-1)/2 is exactly `segments`."""
    lengths = []
    while segments:
        n = (1 + math.isqrt(1 + 8 * segments)) // 2
        lengths.append(n)
        segments -= n * (n - 1) // 2
    return lengths


@pytest.mark.parametrize(("segments", "latent", "c0"), [
    (PTB_SEGMENTS, 32, 0.699), (PTB_SEGMENTS, 128, 1.764), (PTB_SEGMENTS, 380, 3.19), (PTB_SEGMENTS, 512, 3.723),
    (41_612_752, 32, 0.658), (41_612_752, 512, 3.588), (416_127_520, 32, 0.595), (416_127_520, 512, 3.382)])
def test_c0_on_corpora_of_known_size(segments: int, latent: int, c0: float):
    lengths = sentences_with(segments)
    assert sum(n * (n - 1) // 2 for n in lengths) == segments
    value = capacity_noise(lengths, latent)
    assert value == pytest.approx(c0, abs=6e-4 if c0 != 3.19 else 6e-3)
    assert latent / 2 * math.log1p(1 / value ** 2) == pytest.approx(math.log(5 * segments), rel=1e-12)


def test_c0_of_the_penn_treebank():
    folder = os.environ.get("CEAE_DATA")
    if not folder or not os.path.isfile(os.path.join(folder, "ptb", "train.txt")):
        pytest.skip("CEAE_DATA is unset or has no ptb/train.txt")
    lengths = [len(s) for s in corpora.load("ptb", folder).splits["train"].sentences]
    assert sum(n * (n - 1) // 2 for n in lengths) == PTB_SEGMENTS
    assert capacity_noise(lengths, 32) == pytest.approx(0.699, abs=5e-4)
    assert capacity_noise(lengths, 512) == pytest.approx(3.723, abs=5e-4)


def test_c0_of_one_word_sentences_is_finite():
    assert 0 < capacity_noise([1, 1, 1], 32) < math.inf
