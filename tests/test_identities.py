"""Families that must be the same family: equal to the last bit, step for step, through the real training loop."""

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from ceae_core.models.posteriors import Latent
from ceae_core.training import Training
from ceae_core.zoo import FAMILIES

SHORT = {"epochs": 1, "batch_size": 50}     # 24 steps; a schedule epoch lasts 6, so the warm-up ends at step 10


@pytest.fixture(scope="module")
def trained(smoke: Callable[..., Training]) -> Callable[..., Training]:
    """trained(family, seed, **changes): that training after one pass over the data, each trained once."""
    @cache
    def run(family: str, seed: int, changes: tuple[tuple[str, Any], ...]) -> Training:
        training = smoke(family, seed, **SHORT, **dict(changes))
        training.run(lambda now: None)
        assert training.step == 24
        return training
    return lambda family, seed=1, **changes: run(family, seed, tuple(sorted(changes.items())))


def shared_numbers(a: Training, b: Training) -> list[tuple[str, Any, Any]]:
    """What both histories report, under one name for the first term of each."""
    rows = []
    for training in (a, b):
        row = dict(training.history[-1])
        for term in training.terms[:1]:
            row["train_term"], row["weight_term"] = row.pop(f"train_{term.name}"), row.pop(f"weight_{term.name}")
        rows.append(row)
    return [(name, rows[0][name], rows[1][name]) for name in rows[0].keys() & rows[1].keys()]


def differences(a: Training, b: Training) -> list[str]:
    """Names of weights and of reported numbers that are not equal to the last bit."""
    weights, others = a.model.state_dict(), b.model.state_dict()
    assert weights.keys() == others.keys() and a.best.keys() == b.best.keys()
    numbers = shared_numbers(a, b)
    assert {"valid_rec_nats_per_sentence", "train_rec", "train_loss"} <= {name for name, *_ in numbers}
    return [*(name for name in weights if not torch.equal(weights[name], others[name])),
            *(f"best {name}" for name in a.best if not torch.equal(a.best[name], b.best[name])),
            *(name for name, mine, theirs in numbers if mine != theirs)]


TOGETHER = {"decoder_epochs": 0.0}
ONE_VIEW = {"contrast": 0.0, "rec_views": 1, "encoder_dropout": 0.0}
IDENTITIES = {
    "free bits without a target": ("fb", {"target": 0.0}, "vae", {}),
    "total free bits without a target": ("fb-total", {"target": 0.0}, "vae", {}),
    "free bits per sentence": ("fb", {"unit": "total"}, "fb-total", {}),
    "beta 1": ("beta-vae", {"beta": 1.0}, "vae", {}),
    "beta 1 from the first step": ("beta-vae", {"beta": 1.0, "warmup_epochs": 0.0}, "vae", {"warmup_epochs": 0.0}),
    "beta 0.25 until the ramp passes it": ("beta-vae", {"beta": 0.25, "warmup_epochs": 64.0}, "vae",
                                           {"warmup_epochs": 64.0}),
    "a cycle longer than the training": ("cyclic", {"cycle_epochs": 64.0, "ramp_fraction": 1 / 32}, "vae",
                                         {"warmup_epochs": 2.0}),
    "batch-norm VAE without the norm": ("bn-vae", {"norm": "none"}, "vae", {}),
    "BN-VAE's scale, set by hand": ("vae", {"norm": "batch", "gamma": 0.6}, "bn-vae", {"gamma": 0.6}),
    "CEAE without contrast, noise and norm": ("ceae", {"lambda0": 0.0, "c0": 0.0, "norm": "none"}, "ae", {}),
    "CEAE without contrast and noise": ("ceae", {"lambda0": 0.0, "c0": 0.0}, "ae", {"norm": "batch"}),
    "CEAE with layer norm, by name": ("ceae-ln", {}, "ceae", {"norm": "layer"}),
    "CEAE with layer norm, without contrast and noise": ("ceae-ln", {"lambda0": 0.0, "c0": 0.0}, "ae",
                                                         {"norm": "layer"}),
    "neighbours' entropy without weight and noise": ("ceae-knn", {"lambda0": 0.0, "c0": 0.0}, "ae", {"norm": "batch"}),
    "WAE without its discrepancy": ("wae-mmd", {"mmd": 0.0}, "ae", {}),
    "Skip-VAE, by name": ("skip-vae", {}, "vae", {"skip": True}),
    "no step of refinement": ("sa-vae", {"svi_steps": 0}, "vae", {}),
    "no update of the encoder alone": ("agg-vae", {"max_inner": 0}, "vae", {}),
    "no pre-training": ("ae+fb", {"pretrain_epochs": 0.0}, "fb", {"target": 6.0}),
    "cVAE without contrast and second view": ("cvae", ONE_VIEW, "ivae", {}),
    "cVAE_MI without contrast and second view": ("cvae-mi", ONE_VIEW, "ivae-mi", {}),
    "Gaussian cVAE without contrast and second view": ("cvae-gaussian", ONE_VIEW, "vae",
                                                       {"stack": "ivae", "kl_start": 0.1}),
    "iVAE_MI, by option": ("ivae", {"mi": True}, "ivae-mi", {}),
    "cVAE_MI, by option": ("cvae", {"mi": True}, "cvae-mi", {}),
    "cVAE+, by option": ("cvae", {"circle": True}, "cvae+", {}),
    "cVAE+_MI, by option": ("cvae+", {"mi": True}, "cvae+-mi", {}),
    "OPTIMUS with BN-VAE's code, without the norm": ("optimus-bn-vae", {"norm": "none", **TOGETHER}, "optimus",
                                                     TOGETHER),
    "OPTIMUS with CEAE's code, without a decoder's start": ("optimus-ceae", TOGETHER, "ceae", {"net": "pretrained"}),
    "OPTIMUS, by threshold": ("optimus", {"dim_target": 0.0, "norm": "batch", "gamma": 0.7, **TOGETHER},
                              "optimus-bn-vae", {"dim_target": 0.0, **TOGETHER}),
    "the sign of a loss that is not there": ("ivae", {"encoder_sign": "adversarial", "square_weight": 9.0}, "ivae", {}),
}


@pytest.mark.parametrize(("family", "changes", "other", "its_changes"), IDENTITIES.values(), ids=IDENTITIES.keys())
def test_identity(trained, family, changes, other, its_changes):
    assert differences(trained(family, **changes), trained(other, **its_changes)) == []


DIFFERENT = {
    "free bits with a target": ("fb", {"target": 1.0}, "vae", {}),
    "free bits by unit and in total": ("fb", {"target": 0.3}, "fb-total", {"target": 0.3}),
    "beta 0.4": ("beta-vae", {"beta": 0.4}, "vae", {}),
    "a short cycle": ("cyclic", {"cycle_epochs": 2.0}, "vae", {}),
    "a shorter warm-up": ("vae", {"warmup_epochs": 1.0}, "vae", {}),
    "batch norm": ("bn-vae", {}, "vae", {}),
    "another scale": ("bn-vae", {"gamma": 0.6}, "bn-vae", {}),
    "a frozen shift": ("bn-vae", {"learn_shift": False}, "bn-vae", {}),
    "contrast": ("ceae", {"c0": 0.0}, "ae", {"norm": "batch"}),
    "noise": ("ceae", {"lambda0": 0.0}, "ae", {"norm": "batch"}),
    "global statistics": ("ae", {"norm": "batch", "global_every": 0}, "ae", {"norm": "batch"}),
    "momentum": ("ceae", {"momentum": 0.5}, "ceae", {}),
    "cached batches": ("ceae", {"cached_batches": 0}, "ceae", {}),
    "temperature": ("ceae", {"temperature": 2.0}, "ceae", {}),
    "unit codes": ("ceae", {"normalise": True}, "ceae", {}),
    "the positive among the negatives": ("ceae", {"include_positive": True}, "ceae", {}),
    "a sum over the batch": ("ceae", {"reduction": "sum"}, "ceae", {}),
    "skip": ("ae", {"skip": True}, "ae", {}),
    "layer norm": ("ceae-ln", {}, "ceae", {}),
    "neighbours instead of contrast": ("ceae-knn", {}, "ceae", {}),
    "the second neighbour": ("ceae-knn", {"neighbours": 2}, "ceae-knn", {}),
    "neighbours that are never near": ("ceae-knn", {"nearest": 9.0}, "ceae-knn", {}),
    "a discrepancy": ("wae-mmd", {}, "ae", {}),
    "a wider kernel": ("wae-mmd", {"bandwidth": 2.0}, "wae-mmd", {}),
    "the norm of codes": ("rae", {"code_norm": 0.1}, "rae", {}),
    "the norm of the decoder": ("rae", {"decoder_norm": 1e-3}, "rae", {}),
    "a committed rate": ("delta-vae", {}, "vae", {"init": "narrow"}),
    "another rate": ("delta-vae", {"delta": 0.3}, "delta-vae", {}),
    "another concentration": ("vmf-vae", {"kappa": 40.0}, "vmf-vae", {}),
    "refinement": ("sa-vae", {}, "vae", {}),
    "more steps of refinement": ("sa-vae", {"svi_steps": 3}, "sa-vae", {}),
    "shorter steps of refinement": ("sa-vae", {"svi_lr": 1.0}, "sa-vae", {}),
    "refinement without momentum": ("sa-vae", {"svi_momentum": 0.0}, "sa-vae", {}),
    "refinement clipped": ("sa-vae", {"svi_clip": 0.01}, "sa-vae", {}),
    "updates of the encoder alone": ("agg-vae", {}, "vae", {}),
    "fewer updates of the encoder alone": ("agg-vae", {"max_inner": 2}, "agg-vae", {}),
    "no looks at the encoder": ("agg-vae", {"check_every": 9}, "agg-vae", {}),
    "pre-training": ("ae+fb", {"pretrain_epochs": 2.0}, "fb", {"target": 6.0}),
    "longer pre-training": ("ae+fb", {"pretrain_epochs": 3.0}, "ae+fb", {"pretrain_epochs": 2.0}),
    "mutual information": ("ivae-mi", {}, "ivae", {}),
    "an MLP as noise head": ("ivae", {"noise_head": "mlp"}, "ivae", {}),
    "more noise": ("ivae", {"noise_size": 6}, "ivae", {}),
    "critics that do not learn": ("ivae", {"inner_updates": 0}, "ivae", {}),
    "fewer updates of critics": ("cvae", {"inner_updates": 2}, "cvae", {}),
    "critics that learn faster": ("ivae", {"critic_lr": 1e-2}, "ivae", {}),
    "narrower critics": ("ivae", {"critic_hidden": 16}, "ivae", {}),
    "shallower critics": ("ivae", {"critic_layers": 1}, "ivae", {}),
    "critics cut early": ("ivae", {"clamp_exp": 0.01}, "ivae", {}),
    "a contrast of views": ("cvae", {}, "cvae", {"contrast": 0.0}),
    "a contrast of Gaussian codes": ("cvae-gaussian", {}, "cvae-gaussian", {"contrast": 0.0}),
    "a contrast of sentence vectors": ("cvae", {"contrast_on": "h"}, "cvae", {}),
    "a warmer contrast": ("cvae", {"contrast_temperature": 0.5}, "cvae", {}),
    "one view reconstructed": ("cvae", {"rec_views": 1}, "cvae", {}),
    "less encoder dropout": ("cvae", {"encoder_dropout": 0.1}, "cvae", {}),
    "words that change places": ("cvae", {"augment": "swap"}, "cvae", {}),
    "more words that change places": ("cvae", {"augment": "swap", "swap_probability": 0.5}, "cvae",
                                      {"augment": "swap"}),
    "the circle loss": ("cvae+", {}, "cvae", {}),
    "the circle loss with mutual information": ("cvae+-mi", {}, "cvae-mi", {}),
    "a decoder that learns alone first": ("optimus", {"decoder_epochs": 0.5}, "optimus", TOGETHER),
    "a threshold": ("optimus", {"dim_target": 3.0, **TOGETHER}, "optimus", TOGETHER),
    "CEAE's code in OPTIMUS": ("optimus-ceae", TOGETHER, "optimus", TOGETHER),
    "one layer that is tuned": ("optimus", {"tuned": 1, **TOGETHER}, "optimus", TOGETHER),
    "the adversarial sign": ("cvae+", {"encoder_sign": "adversarial"}, "cvae+", {}),
    "views that need not agree for critics": ("cvae+", {"square_weight": 0.0}, "cvae+", {}),
}


@pytest.mark.parametrize(("family", "changes", "other", "its_changes"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_an_option_that_is_on_changes_the_numbers(trained, family, changes, other, its_changes):
    """The other side of the identities: every option reaches the computation."""
    a, b = trained(family, **changes), trained(other, **its_changes)
    assert a.history[-1]["valid_rec_nats_per_sentence"] != b.history[-1]["valid_rec_nats_per_sentence"]


class Identity(nn.Module):
    """z = h, whose noise is that of encoder dropout."""

    smallest_batch, bounded = 1, False

    def __init__(self, hidden: int, latent: int, bias: bool) -> None:
        super().__init__()
        assert hidden == latent

    def forward(self, h: torch.Tensor, clock=None) -> Latent:
        return Latent(h, h, h)


def test_contrasts_of_codes_and_of_sentence_vectors_are_one_where_these_are_equal(smoke, monkeypatch):
    family = FAMILIES["cvae-gaussian"]
    contrast = tuple(term for term in family.terms if term.name == "contrast")
    monkeypatch.setitem(FAMILIES, "identity", replace(family, posterior=Identity, terms=contrast, options={}))
    made = {}
    for where in ("z", "h"):
        made[where] = smoke("identity", latent=16, contrast_on=where, **SHORT)
        made[where].run(lambda now: None)
    assert differences(*made.values()) == [] and made["z"].history[-1]["train_contrast"] != 0.0


def test_pre_training_is_that_of_an_autoencoder_with_noise(smoke):
    """Until its decoder starts anew, AE+FB is a beta-VAE with beta = 0."""
    one, other = smoke("ae+fb", **SHORT, pretrain_epochs=2.0), smoke("beta-vae", **SHORT, beta=0.0)
    for step in range(13):
        equal = {name for name, value in one.model.state_dict().items() if value.equal(other.model.state_dict()[name])}
        assert equal == set(one.model.state_dict())
        assert ("renewed" in one.memory) == (step > 12)
        for training in (one, other):
            training._one_step()
    assert "renewed" in one.memory and not one.model.decoder.output.weight.equal(other.model.decoder.output.weight)


@torch.no_grad()
def test_skip_with_zero_skip_weights_is_the_vae(smoke):
    """The output layer reads [features; z]; with the columns of z at 0 only the features count."""
    vae, skip = smoke("vae").model.eval(), smoke("skip-vae")
    x, model, hidden = skip.train_set.batch(skip.batches[0]), skip.model.eval(), skip.settings.hidden
    weights, wide = vae.state_dict(), torch.zeros_like(model.decoder.output.weight)
    wide[:, :hidden] = weights["decoder.output.weight"]
    model.load_state_dict(weights | {"decoder.output.weight": wide})
    z = 3.0 * torch.randn(len(x), skip.settings.latent)
    torch.testing.assert_close(model.nll(x, z), vae.nll(x, z), rtol=1e-6, atol=0)
    states = [net.decoder.step(x[:, 0], z, net.decoder.begin(len(x), z))[0] for net in (model, vae)]
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-6)
    model.decoder.output.weight[:, hidden:] = 0.1 * torch.randn_like(wide[:, hidden:])
    assert float((model.nll(x, z) - vae.nll(x, z)).abs().min()) > 1e-3


def test_beta_one_continues_an_annealed_vae(smoke):
    """Once the ramp is over, a VAE is the beta-VAE with beta = 1 and no warm-up, from whatever state it has."""
    vae = smoke("vae", epochs=1)
    while vae.family.terms[0].weight(vae.clock(), warmup_epochs=1.6) < 1.0:
        vae._one_step()
    assert vae.step == 16
    file = io.BytesIO()
    torch.save(vae.state(), file)
    file.seek(0)
    beta = smoke("beta-vae", epochs=1, beta=1.0, warmup_epochs=0.0)
    beta.restore(torch.load(file, weights_only=True))
    for _ in range(20):
        for training in (vae, beta):
            training._one_step()
    weights = beta.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in vae.model.state_dict().items())


@pytest.mark.parametrize("family", ["lstm-lm", "vae", "ceae"])
def test_seeds_differ_and_a_seed_repeats(trained, smoke, family):
    first, second = trained(family), trained(family, seed=2)
    assert first.history != second.history
    assert all(not torch.equal(value, second.model.state_dict()[name])
               for name, value in first.model.state_dict().items() if value.is_floating_point() and value.std() > 0)
    again = smoke(family, **SHORT)
    again.run(lambda now: None)
    assert differences(first, again) == []


def test_a_seed_changes_start_batches_and_noise_separately(smoke):
    one, two = smoke("vae"), smoke("vae", 2)
    assert not torch.equal(one.model.encoder.embedding.weight, two.model.encoder.embedding.weight)
    assert any((a != b).any() for a, b in zip(one.batches, two.batches, strict=True))
    two.model.load_state_dict(copy.deepcopy(one.model.state_dict()))
    two.batches = one.batches
    for training in (one, two):
        training._one_step()
    assert not torch.equal(one.totals["rec"], two.totals["rec"])
