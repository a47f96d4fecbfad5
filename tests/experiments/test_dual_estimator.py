"""The experiment on the dual estimator: the known KL is that KL, and what is said about critics holds."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Normal, kl_divergence

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.experiments import dual_estimator
from ceae_core.experiments.critic_fit import Recipe, fit, read, readings
from ceae_core.experiments.dual_estimator import Known, circle_optimum, draws_needed, perfect, track
from ceae_core.losses.dual import circle_loss, dual_kl
from ceae_core.measure.implicit import LARGEST
from ceae_core.runs import Store
from ceae_core.seeding import seeded

TINY = {"kl": 3.0, "latent": 2, "hidden": 8, "held_out": 64, "seed": 1, "critic_hidden": 16, "critic_lr": 1e-3,
        "updates": 30, "every": 10}


def law(kl=2.0, latent=3, hidden=8):
    with seeded(1, "law"):
        return Known(kl, latent, hidden)


def within(values, expected, errors=4.5):
    """Whether the mean of `values` is that many standard errors from what is expected."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return abs(float(values.mean()) - expected) < errors * float(values.std()) / len(values) ** 0.5


@pytest.mark.parametrize(("kl", "latent"), [(0.5, 1), (2.0, 3), (8.0, 8), (40.0, 32)])
def test_the_kl_is_the_one_asked_for(kl, latent):
    """By Monte Carlo over codes, and by torch's closed form averaged over sentence vectors."""
    known = law(kl, latent, 40)
    with seeded(2, "draws"):
        h, z = known.draw(20_000)
    assert within(known.log_ratio(z, h), kl)
    given = Normal(h @ known.matrix.T, known.scale)
    assert within(kl_divergence(given, Normal(0.0, 1.0)).sum(-1), kl)


def test_the_log_ratio_is_that_of_the_densities():
    known = law()
    with seeded(2, "draws"):
        h, z = known.draw(50)
        elsewhere = torch.randn_like(z)
    for at in (z, elsewhere):
        naive = (Normal(h @ known.matrix.T, known.scale).log_prob(at) - Normal(0.0, 1.0).log_prob(at)).sum(-1)
        torch.testing.assert_close(known.log_ratio(at, h), naive.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kl", [0.3, 8.0])
def test_the_codes_of_all_sentences_follow_the_prior(kl):
    known = law(kl, 4, 10)
    covariance = known.matrix @ known.matrix.T + known.scale ** 2 * torch.eye(4)            # exactly, as h ~ N(0, I)
    torch.testing.assert_close(covariance, torch.eye(4, dtype=torch.float64))
    with seeded(3, "draws"):
        _, z = known.draw(20_000)
    assert all(stats.kstest(column, "norm").pvalue > 1e-4 for column in z.T.numpy())


def test_renyi_divergence_by_integration_and_by_monte_carlo():
    known = law(0.4, 1, 2)
    h = torch.tensor([[0.7, -0.3]], dtype=torch.float64)

    def integrand(z):
        ratio = known.log_ratio(torch.tensor([[z]], dtype=torch.float64), h)
        return math.exp(2 * float(ratio) + stats.norm.logpdf(z))
    integral, _ = integrate.quad(integrand, -12, 12)
    assert float(known.renyi2(h)) == pytest.approx(math.log(integral), rel=1e-8)

    known = law(0.4, 2, 3)
    with seeded(4, "draws"):
        h, _ = known.draw(400_000)
        square = (2 * known.log_ratio(torch.randn(400_000, 2, dtype=torch.float64), h)).exp()
    assert within(square, math.exp(2 * 0.4), errors=5)                  # E over h and z
    assert within(known.renyi2(h).exp(), math.exp(2 * 0.4), errors=5)   # E over h of the closed form


def test_the_number_of_draws_follows_the_variance():
    known, kl = law(0.5, 2, 3), 0.5
    with seeded(5, "draws"):
        h, _ = known.draw(400_000)
        density = known.log_ratio(torch.randn(400_000, 2, dtype=torch.float64), h).exp()
    assert within(density, 1.0)
    assert float(density.var()) == pytest.approx(draws_needed(kl), rel=0.1)
    assert draws_needed(kl, error=0.1) == pytest.approx(100 * draws_needed(kl))
    assert draws_needed(20.0) == pytest.approx(math.exp(40.0))


def test_the_perfect_critic_reads_the_truth_where_draws_suffice_and_one_nat_more_where_they_do_not():
    low = perfect(kl=0.5, latent=2, draws=[10, 20_000], total=200_000, seed=1)
    assert low["repeats"] == [20_000, 10]
    assert low["dual_median"][1] == pytest.approx(0.5, abs=0.05) and low["dv_median"][1] == pytest.approx(0.5, abs=0.05)
    assert low["dual_mean"][0] == pytest.approx(0.5, abs=0.03)          # in expectation also from few
    assert low["negative_share"][0] > 0.1 and low["dual_least"][0] < -1
    high = perfect(kl=30.0, latent=4, draws=[1000], total=20_000, seed=1)
    assert high["dual_median"][0] == pytest.approx(31.0, abs=0.1) and high["mean_exp_median"][0] < 1e-6
    assert high["dv_median"][0] > 60


def test_a_row_of_readings_from_few_draws_by_hand():
    f_q, f_p = np.array([2.0, 4.0, 1.0, 1.0, 9.0]), np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    row = dual_estimator._finite(torch.tensor(f_q), torch.tensor(f_p), 2)           # two groups, the rest is left out
    means = np.exp(f_p[:4]).reshape(2, 2).mean(1)
    duals = np.array([3.0, 1.0]) - means + 1
    assert row["repeats"] == 2 and row["dual_mean"] == pytest.approx(duals.mean())
    assert (row["dual_least"], row["negative_share"]) == (pytest.approx(duals.min()), 0.5)
    assert row["dual_low"] == pytest.approx(np.quantile(duals, 0.05))
    assert row["dual_high"] == pytest.approx(np.quantile(duals, 0.95))
    assert row["dv_median"] == pytest.approx(min(np.array([3.0, 1.0]) - np.log(means)))     # torch: the lower of two
    assert row["mean_exp_median"] == pytest.approx(means.min())
    assert dual_estimator._finite(torch.ones(2), torch.tensor([0.5, 0.5]), 2)["negative_share"] == 0.0    # 0.35


def test_any_critic_is_a_lower_bound_in_expectation():
    """Random, trained and wildly scaled critics on so many draws that the estimate is near its expectation."""
    known, recipe = law(1.0, 2, 4), Recipe(critic_hidden=16, critic_lr=1e-2, updates=400, every=400)
    with seeded(6, "critics"):
        critics = recipe.critics(4, 2)
        h, z = known.pairs(100_000)
        prior = torch.randn_like(z)
        found = [read(critics, (h, z), prior)]
        fit(critics, known.pairs, (h[:100], z[:100]), prior[:100], recipe, "test")
        found.append(read(critics, (h, z), prior))
        with torch.no_grad():
            critics.given_sentence[-1].weight.mul_(1.5)
        found.append(read(critics, (h, z), prior))
    assert all(row["dual_nats"] < 1.02 and row["dv_nats"] < 1.02 for row in found)
    assert found[1]["dual_nats"] > 0.6 > found[0]["dual_nats"]          # and training finds most of so little


def test_readings_by_hand():
    f_q, f_p = np.array([1.0, -1.0, 2.0, 0.5]), np.array([0.0, 1.0, -3.0, 2.0])
    found = readings(torch.tensor(f_q), torch.tensor(f_p))
    assert found["dual_nats"] == pytest.approx(f_q.mean() - np.exp(f_p).mean() + 1)
    assert found["dv_nats"] == pytest.approx(f_q.mean() - np.log(np.exp(f_p).mean()))
    assert (found["f_q_nats"], found["mean_exp"]) == (pytest.approx(f_q.mean()), pytest.approx(np.exp(f_p).mean()))
    assert found["max_exp"] == pytest.approx(np.exp(2.0)) and found["dv_nats"] >= found["dual_nats"]
    half = torch.cat([torch.full((32,), 3.0), torch.full((32,), -3.0)])
    assert readings(half, torch.zeros(64))["negative_share"] == 0.5
    assert readings(half, torch.full((64,), 1e5))["mean_exp"] == pytest.approx(math.exp(LARGEST))     # stays a number


def test_the_best_critic_of_the_circle_loss_by_brute_force():
    """On a law with three states, all weights multiples of 1/6; its minimum depends on the KL alone."""
    at_q, at_p = torch.tensor([0, 0, 0, 0, 1, 2]), torch.tensor([0, 1, 1, 1, 2, 2])
    q, p = (torch.bincount(at, minlength=3) / 6.0 for at in (at_q, at_p))
    kl = float((q * (q / p).log()).sum())
    f = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([f], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimiser.zero_grad()
        loss = circle_loss(f[at_q], f[at_p])
        loss.backward()
        return loss
    optimiser.step(closure)
    best = circle_optimum(kl)
    assert float(closure().detach()) == pytest.approx(best.loss, abs=1e-6)
    torch.testing.assert_close(f.detach(), (q / p).log().double() + best.log_k, rtol=0, atol=1e-3)
    assert float(dual_kl(f[at_q], f[at_p]).detach()) == pytest.approx(best.dual, abs=1e-3)


def test_the_circle_loss_falls_with_the_divergence_and_its_critic_reads_half_of_it():
    losses = [circle_optimum(kl).loss for kl in (0.01, 0.5, 1, 2, 5, 10, 50)]
    assert losses == sorted(losses, reverse=True) and losses[1] == pytest.approx(1.727, abs=1e-3)
    assert losses[-1] == pytest.approx(math.log(2.0))
    assert circle_optimum(60.0).dual == pytest.approx(30.0 + 0.5 * math.log(2.0) + 1.0)


def test_a_track_is_repeatable_and_leaves_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = track(**TINY)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    assert track(**TINY) == first
    assert track(**TINY | {"seed": 2}) != first
    assert first["curve"]["update"] == [0, 10, 20, 30] and first["ended"] is None
    assert {len(column) for column in first["curve"].values()} == {4}
    assert first["perfect"]["f_q_nats"] == pytest.approx(3.0, abs=0.6)


def test_training_raises_the_estimate():
    curve = track(**TINY | {"kl": 1.0, "updates": 600, "every": 600, "held_out": 2000})["curve"]["dual_nats"]
    assert abs(curve[0]) < 0.1 and curve[1] > 0.3


def test_a_critic_that_is_no_number_any_more_ends_its_training():
    found = track(**TINY | {"critic_lr": 1e30})
    assert found["ended"] == 10 and found["curve"]["update"] == [0]


def test_patience_and_the_best_weights():
    """Codes that differ from the held-out ones teach the wrong thing: the estimate falls, training ends."""
    recipe = Recipe(critic_hidden=8, critic_lr=1e-2, updates=1000, every=5, patience=3)
    with seeded(7, "patience"):
        critics = recipe.critics(2, 2)
        held_out, prior = (torch.zeros(64, 2), torch.randn(64, 2) - 3), torch.randn(64, 2)
        fitted = fit(critics, lambda n: (torch.zeros(n, 2), torch.randn(n, 2) + 3), held_out, prior, recipe, "test")
    assert len(fitted.rows) - 1 - fitted.best_at == 3 and len(fitted.rows) < 200
    critics.load_state_dict(fitted.best)
    assert read(critics, held_out, prior)["dual_nats"] == fitted.rows[fitted.best_at]["dual_nats"]
    assert fitted.rows[fitted.best_at]["dual_nats"] == max(row["dual_nats"] for row in fitted.rows)


def test_the_largest_value_of_the_batches_is_kept_since_the_last_look():
    """The critic is frozen (rate 0) and reads the first unit of the prior's draws."""
    recipe = Recipe(critic_hidden=1, critic_layers=1, critic_lr=0.0, updates=4, every=2)
    with seeded(9, "batches"):
        critics = recipe.critics(1, 1)
        with torch.no_grad():
            for layer, weight in ((critics.given_sentence[0], [[1.0, 0.0]]), (critics.given_sentence[-1], [[1.0]])):
                layer.weight.copy_(torch.tensor(weight))
                layer.bias.fill_(10.0 if layer is critics.given_sentence[0] else -10.0)     # the kink is far away
        start = torch.get_rng_state()
        rows = fit(critics, lambda n: (torch.zeros(n, 1), torch.zeros(n, 1)), (torch.zeros(32, 1), torch.zeros(32, 1)),
                   torch.zeros(32, 1), recipe, "test").rows
        torch.set_rng_state(start)
        drawn = torch.stack([torch.randn(32, 1) for _ in range(4)])
    assert drawn[:2].max() > drawn[2:].max()            # else a maximum over all batches would do as well
    expected = [0.0, float(drawn[:2].max().exp()), float(drawn[2:].max().exp())]
    assert [row["batch_max_exp"] for row in rows] == pytest.approx(expected, rel=1e-4)


def test_clipping_bounds_the_gradient(monkeypatch):
    seen = []
    real = torch.nn.utils.clip_grad_norm_

    def clip(weights, norm):
        seen.append(norm)
        return real(weights, norm)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    clipped, free = track(**TINY | {"clip": 1e-3}), track(**TINY)
    assert seen == [1e-3] * 30 and clipped["curve"] != free["curve"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"kl": 0.0}, "kl"), ({"latent": 9}, "latent"), ({"loss": "hinge"}, "loss"), ({"updates": 0}, "updates"),
    ({"prior_draws": 0}, "prior_draws")])
def test_bad_parameters_are_named(changes, message):
    with pytest.raises(CeaeError, match=f"^{message}: "):
        track(**TINY | changes)


def test_more_draws_than_there_are():
    with pytest.raises(CeaeError, match="draws"):
        perfect(kl=1.0, latent=2, draws=[10, 200], total=100, seed=1)


def test_a_curve_is_computed_once(tmp_path, monkeypatch):
    changes = {name: value for name, value in TINY.items()}
    first = dual_estimator.curve(Store(tmp_path), **changes)
    assert first["parameters"]["clamp"] == Recipe.clamp and first["parameters"]["kl"] == 3.0
    monkeypatch.setattr(dual_estimator, "track", None)
    assert dual_estimator.curve(Store(tmp_path), **changes) == first
    path = experiments.record(first, tmp_path / "results")
    assert experiments.recorded(dual_estimator.NAME, tmp_path / "results") == [first] and path.exists()


def test_the_chapters_experiments_at_the_smallest_scale(tmp_path):
    store = Store(tmp_path)
    made = dual_estimator.curves("smoke", store)
    assert [c["parameters"]["kl"] for c in made] == [c["kl"] for c in dual_estimator.QUICK]
    assert all(c["result"]["curve"]["update"] == [0, 20, 40] for c in made)
    assert [c["parameters"]["kl"] for c in dual_estimator.perfect_critics("smoke", store)] == [2.0, 4.0, 8.0, 20.0]


def test_the_plans_of_the_book_are_valid_and_all_different():
    for plan in (dual_estimator.QUICK, dual_estimator.FULL):
        made = [dual_estimator.CURVE | changes for changes in plan]
        assert len({str(sorted(changes.items())) for changes in made}) == len(plan)
        for changes in plan:
            Recipe(**{name: value for name, value in changes.items() if name not in ("kl", "latent", "seed")})
    grid = {(kl, latent) for kl in (8.0, 20.0, 40.0) for latent in (2, 8, 32)}
    assert {(changes["kl"], changes["latent"]) for changes in dual_estimator.FULL} == grid
