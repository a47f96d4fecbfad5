"""Codes and their normalisation: statistics, gradients, the bound on the KL and the trap that voids it."""

import math
from collections.abc import Callable

import pytest
import torch

from ceae_core import training as training_module
from ceae_core.errors import CeaeError
from ceae_core.models.posteriors import CodeNorm, Deterministic, Gaussian
from ceae_core.schedules import Clock
from ceae_core.spec import resolve

LATENT = 4


def raw(rows: int = 50, seed: int = 0) -> torch.Tensor:
    """Codes with means and scales that differ by unit."""
    x = torch.randn(rows, LATENT, generator=torch.Generator().manual_seed(seed))
    return x * torch.tensor([0.5, 1.0, 3.0, 10.0]) + torch.tensor([-4.0, 0.0, 1.0, 20.0])


def test_batch_norm_without_scale_centres_and_scales_each_batch():
    out = CodeNorm(LATENT, "batch").train()(raw())
    torch.testing.assert_close(out.mean(0), torch.zeros(LATENT), atol=1e-5, rtol=0)
    torch.testing.assert_close((out ** 2).mean(0), torch.ones(LATENT), atol=1e-4, rtol=0)
    torch.testing.assert_close((out ** 2).sum(1).mean(), torch.tensor(float(LATENT)), atol=1e-3, rtol=0)
    assert list(CodeNorm(LATENT, "batch").parameters()) == []


def test_a_fixed_scale_and_a_learned_shift():
    norm = CodeNorm(LATENT, "batch", gamma=0.6)
    with torch.no_grad():
        norm.batch.bias.copy_(torch.tensor([1.0, -1.0, 0.0, 2.0]))
    out = norm.train()(raw())
    torch.testing.assert_close(out.mean(0), norm.batch.bias.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(0, unbiased=False), torch.full((LATENT,), 0.36), atol=1e-4, rtol=0)
    out.pow(2).sum().backward()
    assert norm.batch.weight.grad is None and not norm.batch.weight.requires_grad
    assert float(norm.batch.bias.grad.abs().sum()) > 0
    still = CodeNorm(LATENT, "batch", gamma=0.6, learn_shift=False)
    assert not any(p.requires_grad for p in still.parameters())


def test_global_statistics_normalise_without_learning_them():
    norm = CodeNorm(LATENT, "batch", gamma=0.7).train()
    for seed in range(3):
        norm(raw(seed=seed))
    mean, variance = norm.batch.running_mean.clone(), norm.batch.running_var.clone()
    mu = raw(seed=9).requires_grad_()
    out = norm(mu, running=True)
    scale = 0.7 / (variance + norm.batch.eps).sqrt()
    torch.testing.assert_close(out, (mu - mean) * scale)
    slope, = torch.autograd.grad(out.sum(), mu)
    torch.testing.assert_close(slope, scale.expand_as(mu))      # the statistics are constants: no gradient through them
    assert torch.equal(norm.batch.running_mean, mean) and torch.equal(norm.batch.running_var, variance)
    assert int(norm.batch.num_batches_tracked) == 3


def test_evaluation_uses_the_running_statistics():
    norm = CodeNorm(LATENT, "batch").train()
    norm(raw())
    one, few = norm.eval()(raw()[:1]), norm(raw()[:7])
    torch.testing.assert_close(one[0], few[0])
    torch.testing.assert_close(few, norm(raw()[:7], running=True))


def test_layer_norm_gives_every_code_the_same_length():
    out = CodeNorm(LATENT, "layer")(raw())
    torch.testing.assert_close(out.norm(dim=1), torch.full((50,), math.sqrt(LATENT)), rtol=1e-3, atol=0)
    torch.testing.assert_close(out.mean(1), torch.zeros(50), atol=1e-5, rtol=0)


def kl_of_scale(scale: float, eps: float) -> tuple[float, float]:
    """Mean KL of a BN-VAE whose raw means are `scale` times fixed ones, and its slope in the scale."""
    posterior = Gaussian(LATENT, LATENT, False, norm="batch", gamma=0.7, norm_eps=eps).train()
    with torch.no_grad():
        posterior.head.weight.copy_(torch.cat([torch.eye(LATENT), torch.zeros(LATENT, LATENT)]))
    width = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    codes = raw().double()
    kl = posterior.double()((codes - codes.mean(0)) / codes.std(0, unbiased=False) * width).kl.sum(1).mean()
    slope, = torch.autograd.grad(kl, width)
    return float(kl.detach()), float(slope)


@pytest.mark.parametrize("variance", [1e-8, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("eps", [1e-5, 1e-12])
def test_the_kl_of_bn_vae_always_pulls_the_raw_variance_down(variance, eps):
    """KL = Z gamma^2 v / (2 (v + eps)) for unit posterior variance; its slope in v is positive, greatest below eps."""
    kl, slope = kl_of_scale(variance ** 0.5, eps)
    expected = LATENT * 0.49 / 2 * variance / (variance + eps)
    assert kl == pytest.approx(expected, rel=1e-6)
    in_variance = slope / (2 * variance ** 0.5)
    assert in_variance == pytest.approx(LATENT * 0.49 / 2 * eps / (variance + eps) ** 2, rel=1e-3, abs=1e-12)
    assert slope >= 0


def test_no_norm_is_the_identity():
    assert CodeNorm(LATENT, "none")(raw()).equal(raw())


def test_an_unknown_norm_is_refused():
    with pytest.raises(CeaeError, match="norm.*'group'.*none, batch or layer"):
        CodeNorm(LATENT, "group")


def test_raw_variance_forgets_where_it_started():
    """After a few batches the running variance is still mostly its first value 1; the report must not be."""
    norm = CodeNorm(LATENT, "batch").train()
    assert norm.raw_variance is None
    for seed in range(5):
        norm(raw(20_000, seed) * 1e-4)
    expected = torch.tensor([0.5, 1.0, 3.0, 10.0]) ** 2 * 1e-8
    torch.testing.assert_close(norm.raw_variance, expected, rtol=0.05, atol=2e-7)
    assert float(norm.batch.running_var.min()) > 0.5
    assert CodeNorm(LATENT, "none").raw_variance is None


# the two posteriors ----------------------------------------------------------------------------------------------

@torch.no_grad()
def test_a_gaussian_posterior_is_its_parts():
    torch.manual_seed(0)
    posterior = Gaussian(6, LATENT, True)
    h = torch.randn(4000, 6)[:1].expand(4000, -1)
    latent = posterior(h)
    mu, logvar = (posterior.head.weight @ h[0] + posterior.head.bias).split(LATENT)
    torch.testing.assert_close(latent.mu[7], mu)
    torch.testing.assert_close(latent.logvar[7], logvar)
    sd = (0.5 * logvar).exp()
    standard = (latent.z - mu) / sd
    assert float(standard.mean(0).abs().max()) < 5 / math.sqrt(4000)
    assert float((standard.var(0) - 1).abs().max()) < 5 * math.sqrt(2 / 4000)
    z = latent.z[3]
    expected = sum(-0.5 * ((z[j] - mu[j]) / sd[j]) ** 2 - sd[j].log() - 0.5 * math.log(2 * math.pi)
                   for j in range(LATENT))
    torch.testing.assert_close(posterior.density(latent).log_prob(latent.z)[3], expected)


@torch.no_grad()
def test_the_noise_of_a_deterministic_code_follows_its_schedule_and_stops_for_evaluation():
    torch.manual_seed(0)
    posterior = Deterministic(6, LATENT, False, noise=lambda clock: 0.5 / clock.epoch)
    h = torch.randn(6).expand(20_000, -1)
    for epoch in (1, 2, 5):
        latent = posterior(h, Clock((epoch - 1) * 10, 10))
        noise = latent.z - latent.mu
        torch.testing.assert_close(noise.std(0), torch.full((LATENT,), 0.5 / epoch), rtol=0.03, atol=0)
        assert float(noise.mean(0).abs().max()) < 0.02
    quiet = posterior(h)
    assert quiet.z is quiet.mu and quiet.logvar is None and quiet.kl is None


@pytest.mark.parametrize("every", [0, 1, 5])
def test_every_kth_step_uses_global_statistics(every: int):
    posterior = Deterministic(6, LATENT, False, norm="batch", global_every=every).train()
    h = torch.randn(8, 6)
    used = []
    for step in range(1, 17):
        before = int(posterior.norm.batch.num_batches_tracked)
        posterior(h, Clock(step, 100))
        if int(posterior.norm.batch.num_batches_tracked) == before:
            used.append(step)
    assert used == {0: [], 1: list(range(1, 17)), 5: [9, 14]}[every]     # the first K steps have none to use


def test_the_first_step_always_has_statistics_of_its_own():
    posterior = Deterministic(6, LATENT, False, norm="batch", global_every=1).train()
    posterior(torch.randn(8, 6), Clock(0, 100))
    assert int(posterior.norm.batch.num_batches_tracked) == 1


@torch.no_grad()
@pytest.mark.parametrize("gamma", [0.6, 0.7, 1.0])
def test_batch_norm_bounds_the_kl_from_below(gamma: float):
    """E[KL] >= Z gamma^2 / 2 on every training batch, whatever the weights and the variances (zhu2020batch, eq. 8)."""
    for seed in range(20):
        torch.manual_seed(seed)
        posterior = Gaussian(6, LATENT, True, norm="batch", gamma=gamma).train()
        posterior.head.weight.mul_(5.0 ** (seed % 4))
        posterior.norm.batch.bias.normal_()
        kl = posterior(torch.randn(32, 6)).kl.sum(1).mean()
        assert float(kl) >= LATENT * gamma ** 2 / 2 * (1 - 1e-3)
    posterior.norm.batch.bias.zero_()
    posterior.head.weight[LATENT:].zero_()
    posterior.head.bias[LATENT:].zero_()
    assert float(posterior(torch.randn(32, 6)).kl.sum(1).mean()) == pytest.approx(LATENT * gamma ** 2 / 2, rel=1e-3)


# the trap --------------------------------------------------------------------------------------------------------

def slow(smoke: Callable, init: str, messages: list[str], monkeypatch):
    """BN-VAE for one epoch with steps so small that the codes keep the scale at which they started."""
    monkeypatch.setattr(training_module, "say", messages.append)
    training = smoke("bn-vae", init=init, lr=1e-6, epochs=1)
    training.run(lambda now: None)
    return training


def test_a_narrow_start_voids_the_bound_and_says_so(smoke: Callable, monkeypatch):
    messages: list[str] = []
    training = slow(smoke, "narrow", messages, monkeypatch)
    row = training.history[-1]
    bound = training.settings.latent * training.spec.options["gamma"] ** 2 / 2
    assert row["code_variance_ok"] is False and row["code_variance_min"] < 1e-5
    assert row["train_kl"] < 0.1 * bound
    assert len(messages) == 1 and "init=wide" in messages[0] and training.spec.id in messages[0]


def test_a_wide_start_keeps_the_bound(smoke: Callable, monkeypatch):
    messages: list[str] = []
    training = slow(smoke, "wide", messages, monkeypatch)
    row = training.history[-1]
    assert row["code_variance_ok"] is True and messages == []
    assert row["train_kl"] >= training.settings.latent * training.spec.options["gamma"] ** 2 / 2 * 0.99


def test_families_without_batch_norm_report_no_variance(smoke: Callable):
    training = smoke("vae", epochs=1, batch_size=400)
    training.run(lambda now: None)
    assert "code_variance_ok" not in training.history[0]


@pytest.mark.parametrize(("family", "changes", "smallest"), [
    ("bn-vae", {}, 2), ("ceae", {}, 2), ("vae", {}, 1), ("ae", {}, 1), ("bn-vae", {"norm": "none"}, 1)])
def test_batch_norm_never_gets_a_single_row(smoke: Callable, family: str, changes: dict, smallest: int):
    training = smoke(family, batch_size=11, **changes)      # 1200 = 109 * 11 + 1
    assert training.model.smallest_batch == smallest
    assert min(map(len, training.batches)) == {1: 1, 2: 11}[smallest]


def test_text_without_a_batch_for_batch_norm_is_refused(tmp_path):
    lines = [" ".join("word" for _ in range(n + 1)) + f" {n}" for n in range(3)]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    spec = resolve("bn-vae", str(tmp_path), "smoke", set={"batching": "same_length"})
    corpus = spec.load_corpus()
    with pytest.raises(CeaeError, match="batching=random"):
        training_module.Training(spec, corpus, corpus.vocabulary(), torch.device("cpu"))
