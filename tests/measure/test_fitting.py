"""The proposal is fitted to held-out sentences, and the tightest is taken."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from ceae_core.measure import fitting
from ceae_core.measure.bound import bound, encode, log_weights
from ceae_core.measure.fitting import Choice, Frame, choose, match
from ceae_core.measure.proposals import Linear, Own, Prior, Proposal
from ceae_core.measure.refine import Refined
from ceae_core.models.posteriors import Latent
from ceae_core.models.sphere import SphereUniform, VonMisesFisher

CPU = torch.device("cpu")
STANDARD = Frame.of(Independent(Normal(torch.zeros(2), torch.ones(2)), 1))
TURN = torch.tensor([[0.6, -0.3], [0.4, 1.1]], dtype=torch.float64)


def nats(model: Any, case: SimpleNamespace, proposal: Proposal, samples: int = 20) -> float:
    """The bound with so many codes, averaged over 20 groups of them."""
    return float(bound(log_weights(model, encode(model, case.data, CPU, 3), proposal, 20 * samples, 3), samples).mean())


@pytest.fixture
def faithful(monkeypatch) -> None:
    """Fits without what guards them against few sentences and few samples."""
    monkeypatch.setattr(fitting, "EVEN", 0.0)
    monkeypatch.setattr(fitting, "RIDGE", 0.0)


def test_the_linear_fit_finds_the_true_posterior(slanted, faithful):
    """mu is a turned and shifted posterior mean: A turns it back, c shifts it back, C is the true covariance."""
    model = slanted.model(turn=TURN, shift=0.5)
    coded = encode(model, slanted.data, CPU, 0)
    affine, linear = match(model, coded, Prior(), STANDARD, 20_000, 0)
    assert (affine.kind, linear.kind) == ("affine", "linear")
    torch.testing.assert_close(linear.matrix @ TURN, torch.eye(2, dtype=torch.float64), atol=0.03, rtol=0)
    torch.testing.assert_close(linear.shift, torch.full((2,), -0.5, dtype=torch.float64), atol=0.03, rtol=0)
    torch.testing.assert_close(linear.factor @ linear.factor.T, model.covariance, atol=0.01, rtol=0)
    assert nats(model, slanted, linear, 1) == pytest.approx(float(slanted.truth.mean()), abs=0.01)


def test_the_affine_fit_is_a_regression_unit_by_unit(slanted, faithful):
    """Of z on mu: E z is the true posterior mean m; a = cov(m, mu) / var(mu), s^2 is the variance left."""
    model = slanted.model(turn=TURN)
    coded = encode(model, slanted.data, CPU, 0)
    affine, _ = match(model, coded, Prior(), STANDARD, 20_000, 0)
    x = slanted.data.batch(np.arange(len(slanted.data)))
    m, mu = model.mean(x), model.encode(x).mu
    for j in range(2):
        a = float(torch.cov(torch.stack([m[:, j], mu[:, j]]))[0, 1] / mu[:, j].var())
        c = float((m[:, j] - a * mu[:, j]).mean())
        left = float((m[:, j] - a * mu[:, j] - c).square().mean() + model.covariance[j, j])
        assert (float(affine.matrix[j, j]), float(affine.shift[j])) == (pytest.approx(a, abs=0.03),
                                                                        pytest.approx(c, abs=0.03))
        assert float(affine.factor[j, j]) == pytest.approx(math.sqrt(left), abs=0.02)
    assert not affine.matrix.triu(1).any() and not affine.matrix.tril(-1).any()
    assert not affine.factor.tril(-1).any()


def test_even_weights_give_the_start_back(straight, monkeypatch):
    """All weight spread evenly: the fit describes the codes that were drawn."""
    monkeypatch.setattr(fitting, "EVEN", 1.0)
    monkeypatch.setattr(fitting, "RIDGE", 0.0)
    model = straight.model()
    start = Linear("linear", STANDARD, TURN, torch.tensor([1.0, -1.0], dtype=torch.float64),
                   torch.tensor([[0.5, 0.0], [0.3, 0.4]], dtype=torch.float64))
    _, linear = match(model, encode(model, straight.data, CPU, 0), start, STANDARD, 20_000, 0)
    torch.testing.assert_close(linear.matrix, start.matrix, atol=0.01, rtol=0)
    torch.testing.assert_close(linear.shift, start.shift, atol=0.01, rtol=0)
    torch.testing.assert_close(linear.factor @ linear.factor.T, start.factor @ start.factor.T, atol=0.01, rtol=0)


def test_even_weights_and_a_ridge_keep_a_fit_to_few_sentences_wide_and_calm(slanted, monkeypatch):
    """Three sentences with two codes each: with the guards the deviations stay near the start's and A near 0."""
    model = slanted.model(turn=0.01 * TURN)
    few = encode(model, slanted.data.take(np.arange(3)), CPU, 0)
    _, guarded = match(model, few, Prior(), STANDARD, 2, 0)
    monkeypatch.setattr(fitting, "EVEN", 0.0)
    monkeypatch.setattr(fitting, "RIDGE", 0.0)
    _, bare = match(model, few, Prior(), STANDARD, 2, 0)
    assert float(guarded.matrix.abs().max()) < float(bare.matrix.abs().max()) / 2
    assert float(guarded.factor.diagonal().min()) > float(bare.factor.diagonal().min())


def test_codes_that_never_vary_still_have_a_fit(straight):
    model = straight.model(turn=torch.zeros(2, 2, dtype=torch.float64))
    for fitted in match(model, encode(model, straight.data, CPU, 0), Prior(), STANDARD, 50, 0):
        assert fitted.factor.isfinite().all() and fitted.matrix.abs().max() < 1e-3
        assert nats(model, straight, fitted) < nats(model, straight, Prior(), 1)


def test_the_tightest_candidate_is_chosen(slanted):
    """Dependent units, no density: the linear proposal; it reaches the truth, the others do not."""
    model = slanted.model(density=False, turn=TURN)
    choice = choose(model, slanted.data, CPU, 0)
    assert set(choice.nats) == set(choice.candidates)
    assert choice.best is choice.candidates["linear"] and choice.nats["linear"] == min(choice.nats.values())
    assert list(choice.nats) == ["prior", "isotropic", "affine", "linear"]
    assert nats(model, slanted, choice.best) == pytest.approx(float(slanted.truth.mean()), abs=0.02)
    assert nats(model, slanted, choice.candidates["affine"]) > float(slanted.truth.mean()) + 0.02


def test_an_elaborate_proposal_must_be_better_by_the_margin():
    proposals = {"own": Own(), "prior": Prior(), "isotropic": Linear.isotropic(STANDARD, 0.7, 0.5)}
    near = Choice(proposals, {"own": 5.0, "prior": 5.0 - fitting.MARGIN / 2, "isotropic": 5.0})
    assert near.best is proposals["own"]
    assert Choice(proposals, {"own": 5.0, "prior": 5.0 - 2 * fitting.MARGIN, "isotropic": 4.0}).best.kind == "isotropic"
    assert near.best_start is proposals["own"]
    assert Choice(proposals, {"prior": 1.0, "own": 5.0}).best_start is proposals["own"]
    worse, better = Linear.isotropic(STANDARD, 0.1, 0.1), Linear.isotropic(STANDARD, 0.2, 0.2)
    for proposal, value in ((worse, 4.5), (better, 3.5), (worse, 3.7)):
        near.offer("isotropic", proposal, lambda _, value=value: value)
    assert near.nats["isotropic"] == 3.5 and near.candidates["isotropic"] is better


def test_a_perfect_own_posterior_is_kept(straight):
    choice = choose(straight.model(), straight.data, CPU, 0)
    assert isinstance(choice.best, Own) and list(choice.nats) == ["own", "prior", "affine", "linear"]
    assert choice.nats["own"] == pytest.approx(float(straight.truth[:32].mean()), abs=1e-6)


def test_a_poor_own_posterior_is_not(straight):
    choice = choose(straight.model(stretch=0.1), straight.data, CPU, 0)
    assert not isinstance(choice.best, Own) and choice.nats["own"] > min(choice.nats.values()) + 0.1


def test_the_isotropic_proposal_is_near_the_best_of_the_whole_grid(straight):
    """And beats poor ones; with scale 1 and independent units the width lies between the two true deviations."""
    model = straight.model(density=False)
    chosen = choose(model, straight.data, CPU, 0).candidates["isotropic"]
    grid = [Linear.isotropic(STANDARD, a, s) for a in fitting.SCALES for s in fitting.WIDTHS]
    best = min(nats(model, straight, proposal) for proposal in grid)
    assert nats(model, straight, chosen) < best + 0.05
    assert float(chosen.matrix[0, 0]) >= 0.7
    deviations = model.covariance.diagonal().sqrt()
    assert 0.8 * float(deviations.min()) <= float(chosen.factor[0, 0]) <= 1.2 * float(deviations.max())


def test_refinement_stands_for_choice_when_asked(slanted):
    model = slanted.model(density=False, turn=0.01 * TURN)
    choice = choose(model, slanted.data, CPU, 0, refine=20)
    assert isinstance(choice.candidates["refined"], Refined) and choice.nats["refined"] >= min(choice.nats.values())
    before = Choice(choice.candidates, {name: choice.nats[name] for name in choice.nats if name != "refined"})
    assert choice.candidates["refined"].start is before.best_start
    assert choice.candidates["refined"].describe().endswith("then 20 steps per sentence")


def test_the_choice_repeats_with_its_seed_and_looks_at_the_first_sentences_only_to_judge(slanted):
    model = slanted.model(density=False, turn=TURN)
    one, again, other = (choose(model, slanted.data, CPU, seed) for seed in (1, 1, 2))
    assert one.nats == again.nats != other.nats and one.best.describe() == again.best.describe()
    judged, rest = fitting._cut(slanted.data)
    assert len(judged) == fitting.JUDGED and len(rest) == len(slanted.data) - fitting.JUDGED
    assert not set(judged.tokens[1::3]) & set(rest.tokens[1::3])
    few = slanted.data.take(np.arange(5))
    assert all(len(part) == 5 for part in fitting._cut(few))
    assert math.isfinite(min(choose(model, few, CPU, 0, samples=1).nats.values()))


def test_no_sentence_gets_more_codes_than_the_bound(slanted, monkeypatch):
    asked = []
    model = slanted.model(density=False)
    weigh = fitting.weigh

    def watched(model, coded, proposal, samples, *more):
        asked.append(samples)
        return weigh(model, coded, proposal, samples, *more)
    monkeypatch.setattr(fitting, "weigh", watched)
    choose(model, slanted.data, CPU, 0, samples=4)
    assert set(asked) == {4}
    choose(model, slanted.data, CPU, 0, samples=500)
    assert max(asked) == fitting.FIT_SAMPLES


def test_codes_on_a_sphere_have_only_their_own_posterior_and_the_prior(straight):
    model = straight.model()
    unit = torch.nn.functional.normalize
    model.posterior.prior = lambda: SphereUniform(2, model.weight)
    model.posterior.density = lambda latent: VonMisesFisher(latent.mu, 5.0)
    encoded = model.encode
    model.encode = lambda x: Latent(*(unit(v, dim=-1) for v in (encoded(x).h, encoded(x).mu, encoded(x).z)))
    choice = choose(model, straight.data, CPU, 0)
    assert set(choice.nats) == {"own", "prior"}


def mixture(weights: tuple[float, ...], means: torch.Tensor, factors: torch.Tensor) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(torch.tensor(weights, dtype=torch.float64)),
                             MultivariateNormal(means, scale_tril=factors))


def test_a_mixture_as_prior_is_a_prior_like_any_other(straight):
    """Two components, both N(0, I): the same bounds as with N(0, I) itself."""
    model = straight.model(density=False)
    plain = choose(model, straight.data, CPU, 0).nats
    two = torch.eye(2, dtype=torch.float64).repeat(2, 1, 1)
    model.posterior.prior = lambda: mixture((0.4, 0.6), torch.zeros(2, 2, dtype=torch.float64), two)
    found = choose(model, straight.data, CPU, 0)
    assert list(found.nats) == list(plain) and "where the prior's" in found.candidates["isotropic"].describe()
    for name, value in plain.items():
        same_draws = name == "isotropic"
        assert found.nats[name] == pytest.approx(value, abs=1e-6 if same_draws else 0.15)


def test_fits_do_not_depend_on_the_units_of_the_code(slanted):
    """The same model with codes that are a thousand times as large, skewed and shifted, and the prior along: the same
    bounds."""
    model = slanted.model(density=False)
    before = choose(model, slanted.data, CPU, 0)
    skew = torch.tensor([[1000.0, 0.0], [300.0, 0.01]], dtype=torch.float64)
    off, encode_plain, nll = torch.tensor([5.0, -7.0], dtype=torch.float64), model.encode, model.nll
    model.encode = lambda x: Latent(encode_plain(x).h, *(encode_plain(x).mu @ skew.T + off,) * 2)
    model.nll = lambda x, z: nll(x, (z - off) @ torch.linalg.inv(skew).T)
    model.posterior.prior = lambda: mixture((1.0,), off[None], skew[None])
    after = choose(model, slanted.data, CPU, 0)
    assert after.nats["isotropic"] == pytest.approx(before.nats["isotropic"], abs=1e-6)
    for name, value in before.nats.items():
        assert after.nats[name] == pytest.approx(value, abs=0.15 if name == "prior" else 0.05), name
    torch.testing.assert_close(after.candidates["isotropic"].factor, before.candidates["isotropic"].factor)


def test_a_mixture_whose_parts_lie_apart_has_a_frame_for_each(straight):
    """Every second sentence has its mirror image, at -20, of what the others have at +20, and the prior both: the
    bounds are those of one part plus log 2, which no Gaussian finds that does not know of parts."""
    model = straight.model(density=False)
    before = choose(model, straight.data, CPU, 0).nats
    encode_plain, nll = model.encode, model.nll
    sign = 1.0 - 2.0 * (torch.arange(len(straight.data)) % 2)

    def signs(x: torch.Tensor) -> torch.Tensor:
        return sign[x[:, 1] - 4].unsqueeze(1).double()

    model.encode = lambda x: Latent(encode_plain(x).h, *(signs(x) * (encode_plain(x).mu + 20.0),) * 2)
    model.nll = lambda x, z: nll(x, signs(x) * z - 20.0)
    means = torch.tensor([[20.0, 20.0], [-20.0, -20.0]], dtype=torch.float64)
    factors = torch.eye(2, dtype=torch.float64).repeat(2, 1, 1)
    model.posterior.prior = lambda: mixture((0.5, 0.5), means, factors)
    after = choose(model, straight.data, CPU, 0).nats
    for name in ("isotropic", "affine", "linear"):
        assert after[name] == pytest.approx(before[name] + math.log(2), abs=0.1), name
