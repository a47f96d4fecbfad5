"""The channel against numerical integration, brute force and closed forms."""

import math
import os
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ceae_core.audit import maths_channel as channel
from ceae_core.corpora import table
from ceae_core.errors import CeaeError
from ceae_core.schedules import capacity_noise, segment_noise, segments


def entropy(density, reach: float) -> float:
    value, _ = integrate.quad(lambda x: -stats_xlogx(density(x)), -reach, reach, limit=500)
    return value


def stats_xlogx(p: float) -> float:
    return p * math.log(p) if p > 0 else 0.0


@pytest.mark.parametrize("noise", [0.2, 0.7, 3.0])
def test_capacity_is_the_entropy_of_a_gaussian_code_and_noise_less_that_of_the_noise(noise):
    received, sent = (entropy(stats.norm(scale=s).pdf, 12 * s) for s in (math.hypot(1, noise), noise))
    assert channel.capacity(noise) == pytest.approx(received - sent, abs=1e-8)
    assert channel.capacity(noise, power=4.0) == pytest.approx(channel.capacity(noise / 2))


@pytest.mark.parametrize("noise", [0.3, 0.7, 1.0])
def test_the_shortfall_of_two_points_by_plain_integration_of_the_entropy(noise):
    information = entropy(lambda z: channel.two_point_density(z, noise), 1 + 12 * noise) - float(
        stats.norm(scale=noise).entropy())
    assert channel.two_point_shortfall(noise) == pytest.approx(channel.capacity(noise) - information, abs=1e-7)


def test_two_points_without_noise_carry_one_bit_and_under_much_noise_lack_nothing():
    assert channel.capacity(0.05) - channel.two_point_shortfall(0.05) == pytest.approx(math.log(2), abs=1e-6)
    few, many = channel.two_point_shortfall(4.0), channel.two_point_shortfall(8.0)
    assert 0 < many < few < 1e-5
    # the fourth cumulant of +-1 is -2: by Edgeworth's expansion KL is about kappa_4^2 / (48 variance^4)
    assert many == pytest.approx(4 / (48 * (1 + 8.0 ** 2) ** 4), rel=0.05)


def test_laws_of_unit_variance():
    for law in channel.UNIT_VARIANCE.values():
        assert (law.mean(), law.var()) == (pytest.approx(0), pytest.approx(1))
        assert float(law.entropy()) == pytest.approx(entropy(law.pdf, 60), abs=1e-5)


def test_information_with_dependent_noise_by_the_covariance():
    noise, rho = 0.6, 0.4
    covariance = np.array([[1.0, 1.0 + noise * rho], [1.0 + noise * rho, 1 + noise ** 2 + 2 * noise * rho]])
    expected = 0.5 * math.log(covariance[0, 0] * covariance[1, 1] / np.linalg.det(covariance))
    assert channel.dependent_noise_information(noise, rho)[0] == pytest.approx(expected)
    exact, difference = channel.dependent_noise_information(noise, 0.0)
    assert exact == pytest.approx(difference) == pytest.approx(channel.capacity(noise))


@pytest.mark.parametrize(("gamma", "shift"), [(0.7, 0.0), (1.0, 0.5)])
def test_no_posterior_with_normed_means_is_below_the_floor(gamma, shift):
    floor = channel.kl_floor(8, gamma, shift)
    kls = {sigma: channel.batch_normed_kl(64, 8, gamma, shift, sigma) for sigma in (0.3, 0.9, 1.0, 1.1, 2.0)}
    assert kls[1.0] == pytest.approx(floor) and all(kl > floor + 0.01 for sigma, kl in kls.items() if sigma != 1.0)


def test_the_information_of_a_codebook_by_integration_and_at_its_ends():
    two, noise = torch.tensor([[-1.0], [1.0]]), 0.8
    exact = channel.capacity(noise) - channel.two_point_shortfall(noise)
    value, error = channel.codebook_information(two, noise, 20_000)
    assert value == pytest.approx(exact, abs=4 * error) and error < 0.01
    codes = channel.codebook("gaussian", 50, 16)
    assert channel.codebook_information(codes, 1e-3, 100)[0] == pytest.approx(math.log(50), abs=1e-5)
    assert channel.codebook_information(codes, 1e3, 100)[0] == pytest.approx(0, abs=1e-3)


def test_codebooks_have_unit_variance_and_a_known_kind():
    binary = channel.codebook("binary", 2000, 3)
    assert set(binary.unique().tolist()) == {-1.0, 1.0} and abs(float(binary.mean())) < 0.05
    assert float(channel.codebook("gaussian", 2000, 3).var()) == pytest.approx(1, abs=0.05)
    with pytest.raises(CeaeError, match="kind: unknown codebook 'ternary'"):
        channel.codebook("ternary", 2, 2)


def test_segments_by_enumeration_and_the_rule_by_its_equation():
    lengths = [1, 2, 5, 9]
    assert segments(lengths) == sum(len(list(combinations(range(n), 2))) for n in lengths)
    assert capacity_noise(lengths, 8) == segment_noise(segments(lengths), 8)
    noise = segment_noise(1e6, 16, 5.0)
    assert (1 + noise ** -2) ** 8 == pytest.approx(5e6)
    known = channel.demand("mine", lengths)
    assert (known.sentences, known.segments) == (4, 47.0) and known.noise(16, 2.0) == segment_noise(47.0, 16, 2.0)


def test_a_run_gives_back_the_segments_behind_its_noise():
    run = SimpleNamespace(id="r", corpus="ptb", settings={"latent": 32}, options={"c0": segment_noise(1e7, 32, 5.0)})
    assert channel.read_back(run, 5.0).segments == pytest.approx(1e7)


def test_demands_are_counted_where_files_are_and_read_back_where_not(monkeypatch):
    monkeypatch.delenv("CEAE_DATA", raising=False)
    oracle, ptb = channel.known_demands(5.0)
    assert (oracle.corpus, oracle.basis, oracle.sentences) == ("oracle", "counted", 20_000)
    assert ptb.basis.startswith("from c0 of run ceae-ptb") and ptb.noise(512, 5.0) == pytest.approx(3.7233, abs=1e-3)


def test_demands_of_the_files_themselves():
    if not {row["name"] for row in table.describe() if row["ready"]} >= {"ptb", "yahoo-10k"}:
        pytest.skip(f"CEAE_DATA ({os.environ.get('CEAE_DATA')}) lacks the files of ptb and yahoo-10k")
    found = {d.corpus: d for d in channel.known_demands(5.0)}
    assert (found["ptb"].segments, found["ptb"].basis) == (11_083_096, "counted")
    assert found["yahoo"].sentences == 100_000 and 3.3 < found["yahoo"].noise(512, 5.0) < 3.45
