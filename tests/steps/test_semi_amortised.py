"""The semi-amortised step and what its models say outside training."""

import torch

from ceae_core.models.refinement import Refinement


def test_steps_refine_with_the_annealed_weight_and_the_encoder_learns_through_them(smoke):
    training = smoke("sa-vae", warmup_epochs=8.0, svi_steps=3, svi_lr=2.0)
    assert training.model.refine == Refinement(32, svi_steps=3, svi_lr=2.0)
    seen = []

    def refine(model, x, latent, weight):
        refined = Refinement(32, svi_steps=1)(model, x, latent, weight)
        seen.append((weight, len(x), refined.mu.grad_fn is not None))
        return refined
    training.model.refine = refine
    for _ in range(3):
        training._one_step()
    steps = 8.0 * training.clock().unit * training.steps_per_epoch
    assert seen == [(step / steps, 32, True) for step in range(3)]


def test_the_decoder_reads_the_refined_code(smoke, monkeypatch):
    training = smoke("sa-vae")
    fixed = torch.full((32, training.settings.latent), 0.25)

    def refine(model, x, latent, weight):
        latent.z = fixed
        return latent
    training.model.refine = refine
    read = []
    nll = training.model.nll
    monkeypatch.setattr(training.model, "nll", lambda x, z: read.append(z) or nll(x, z))
    training._one_step()
    assert len(read) == 1 and read[0] is fixed


def test_training_encodes_plainly_and_evaluation_refines(smoke):
    training = smoke("sa-vae")
    model, x = training.model.eval(), training.valid_set.batch([0, 1, 2])
    plain = model.posterior(model.encoder(x, (x != 0).sum(1))).mu
    assert torch.equal(model.encode(x, training.clock()).mu, plain)
    assert not torch.equal(model.encode(x).mu, plain)
    model.refine = None
    assert torch.equal(model.encode(x).mu, plain)
