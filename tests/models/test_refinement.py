"""The refinement of a posterior: step by step, its gradient, and what evaluation asks of it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ceae_core.losses.divergences import gaussian_kl
from ceae_core.measure.latent import codes
from ceae_core.measure.likelihood import rec_and_kl
from ceae_core.models.posteriors import Latent
from ceae_core.models.refinement import Refinement

CPU = torch.device("cpu")
ROWS, LATENT = 5, 2


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


W, Y = normal(3, LATENT, seed=1), normal(ROWS, 3, seed=2)


def nll(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Sentence i stands for an observation y_i; not quadratic in z, so that second derivatives move."""
    return ((torch.tanh(z) @ W.T - Y[x[:, 0]]) ** 2).sum(-1)


MODEL = SimpleNamespace(nll=nll)
X = torch.arange(ROWS).unsqueeze(1)


def start(scale: float = 1.0) -> Latent:
    mu, logvar = scale * normal(ROWS, LATENT, seed=3), 0.3 * normal(ROWS, LATENT, seed=4)
    return Latent(mu, mu.requires_grad_(), mu, logvar.requires_grad_(), gaussian_kl(mu, logvar))


def naive(noise, weight: float, rows: int, refinement: Refinement, by_sentence: bool) -> list[torch.Tensor]:
    """mu and log sigma^2 after all steps, by gradients of plain expressions."""
    values = [start().mu.detach(), start().logvar.detach()]
    velocities = [torch.zeros_like(value) for value in values]
    for eps in noise:
        mu, logvar = (v.clone().requires_grad_() for v in values)
        kl = 0.5 * (mu ** 2 + logvar.exp() - logvar - 1.0).sum()
        ((nll(X, mu + (logvar / 2).exp() * eps).sum() + weight * kl) / rows).backward()
        for k, slope in enumerate((mu.grad, logvar.grad)):
            norms = slope.norm(dim=1, keepdim=True) if by_sentence else slope.norm()
            clipped = slope * torch.clamp(refinement.svi_clip / norms, max=1.0)
            velocities[k] = refinement.svi_momentum * velocities[k] - clipped
            values[k] = values[k] + refinement.svi_lr * velocities[k]
    return values


@pytest.mark.parametrize("clip", [5.0, 0.2])
@pytest.mark.parametrize("learning", [False, True])
def test_the_steps_are_momentum_descent_on_the_bound(clip: float, learning: bool):
    refinement = Refinement(4, svi_steps=3, svi_lr=0.7, svi_momentum=0.6, svi_clip=clip)
    if learning:                                    # the annealing weight, the batch's mean and norm, noise by sentence
        torch.manual_seed(7)
        refined = refinement(MODEL, X, start(), 0.3)
        torch.manual_seed(7)
        noise = [torch.randn(ROWS, LATENT, dtype=torch.float64) for _ in range(3)]
        expected = naive(noise, 0.3, ROWS, refinement, False)
    else:                                           # weight 1, a fixed batch size, one noise for all, norms by sentence
        refined = refinement(MODEL, X, start())
        common = torch.stack(list(refinement._noise(start().mu, False)))
        assert common.shape == (3, LATENT) and len(common.unique()) == 6
        expected = naive(common, 1.0, 4, refinement, True)
    torch.testing.assert_close(refined.mu, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(refined.logvar, expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(refined.kl, gaussian_kl(refined.mu, refined.logvar))


def test_no_steps_are_no_refinement():
    first, refinement = start(), Refinement(4, svi_steps=0)
    assert refinement(MODEL, X, first) is first and refinement(MODEL, X, first, 0.5) is first


def test_the_loss_after_the_steps_has_the_gradient_of_a_difference_quotient():
    """With respect to where the steps began, which is how the encoder learns, and to the model inside each step."""
    refinement = Refinement(4, svi_steps=3, svi_lr=0.5)

    def loss(mu: torch.Tensor, logvar: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        inner = SimpleNamespace(nll=lambda x, z: nll(x, scale * z))
        refined = refinement(inner, X, Latent(mu, mu, mu, logvar), 0.5)
        return (inner.nll(X, refined.z) + 0.5 * refined.kl.sum(-1)).mean()

    first, scale = start(), torch.ones((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (first.mu, first.logvar, scale), eps=1e-6, atol=1e-6)


def test_a_fresh_code_is_drawn_from_the_refined_posterior():
    """One sentence many times over: in evaluation all copies are refined alike, and each has a draw of its own."""
    copies = 4000
    mu, logvar = (v[:1].detach().expand(copies, -1) for v in (start().mu, start().logvar))
    torch.manual_seed(0)
    refined = Refinement(4, svi_steps=2)(MODEL, X[:1].expand(copies, -1), Latent(mu, mu, mu, logvar))
    torch.testing.assert_close(refined.mu, refined.mu[:1].expand(copies, -1))
    standard = (refined.z - refined.mu) / (0.5 * refined.logvar).exp()
    assert (standard.mean(0).abs() < 5 / math.sqrt(copies)).all()
    assert ((standard.std(0) - 1).abs() < 5 / math.sqrt(2 * copies)).all()


# inside a model -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def trained(smoke):
    """A semi-amortised VAE after one pass with hardly any KL; the steps are those of the paper."""
    training = smoke("sa-vae", epochs=1, batch_size=50, warmup_epochs=1e6)
    training.run(lambda now: None)
    training.model.refine = Refinement(32)
    return training


def test_refining_tightens_the_bound(trained):
    """Rec + KL of 100 sentences with 3 draws of z, before and after; 5 standard errors of the gain."""
    model, data = trained.model.eval(), trained.valid_set.take(np.arange(100))

    def bound() -> torch.Tensor:
        return torch.stack([sum(rec_and_kl(model, data, CPU, seed)) for seed in range(3)]).mean(0)
    after = bound()
    model.refine, refine = None, model.refine
    before = bound()
    model.refine = refine
    gain = before - after
    assert float(gain.mean()) > 5 * float(gain.std()) / math.sqrt(len(gain)) > 0


def test_a_sentence_is_refined_alike_in_any_company(trained):
    model, data = trained.model.eval(), trained.valid_set.take(np.arange(130))
    mu, logvar = codes(model, data, CPU)
    amortised = model.posterior(model.encoder(*with_lengths(data.batch([3])))).mu[0].detach().double()
    assert float((mu[3] - amortised).abs().max()) > 0.05
    for rows in ([3], [3, 50, 7], [120, 3]):
        latent = model.encode(data.batch(rows))
        torch.testing.assert_close(latent.mu[rows.index(3)].double(), mu[3], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(latent.logvar[rows.index(3)].double(), logvar[3], rtol=1e-3, atol=1e-4)


def with_lengths(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x, (x != 0).sum(1)


def test_evaluation_leaves_no_graph_no_gradient_and_no_setting_behind(trained, recwarn):
    model, x = trained.model.eval(), trained.valid_set.batch([0, 1])
    model.zero_grad(set_to_none=True)
    flags = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled
    with torch.no_grad():
        latent = model.encode(x)
        assert not torch.is_grad_enabled()
    assert not any(v.requires_grad for v in (latent.mu, latent.logvar, latent.z, latent.kl))
    assert all(p.grad is None for p in model.parameters())
    assert (torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled) == flags and not recwarn.list


def test_refining_stays_in_float32_under_autocast(trained):
    model, x = trained.model.eval(), trained.valid_set.batch([0, 1])
    seen = []
    handle = model.decoder.lstm.register_forward_hook(lambda module, given, out: seen.append(out[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.encode(x)
    handle.remove()
    assert seen == [torch.float32] * 20
