"""Families that must be the same family: equal to the last bit, step for step, through the real training loop."""

import copy
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from ceae_core.training import Training

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
    """What both histories report, under one name for the one term that each has."""
    rows = []
    for training in (a, b):
        row = dict(training.history[-1])
        for term in training.terms:
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
}


@pytest.mark.parametrize(("family", "changes", "other", "its_changes"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_an_option_that_is_on_changes_the_numbers(trained, family, changes, other, its_changes):
    """The other side of the identities: every option reaches the computation."""
    a, b = trained(family, **changes), trained(other, **its_changes)
    assert a.history[-1]["valid_rec_nats_per_sentence"] != b.history[-1]["valid_rec_nats_per_sentence"]


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
