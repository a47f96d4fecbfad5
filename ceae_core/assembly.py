"""From a spec to modules: the model of a run and its loss terms."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import nn

from ceae_core import checkpoints, zoo
from ceae_core.corpora import Vocabulary
from ceae_core.models import optimus, transformer
from ceae_core.models.autoencoder import TextAutoencoder, build
from ceae_core.options import bind
from ceae_core.spec import RunSpec

MODEL_SETTINGS = ("net", "stack", "embedding", "hidden", "latent", "layers", "heads", "inner", "encoder_dropout",
                  "dropout_in", "dropout_out", "dropout_layer", "skip", "init")


class BoundTerm(NamedTuple):
    """A loss term with its options filled in."""

    name: str
    loss: Callable          # (context) -> (B,) nats, or their mean
    weight: Callable        # (clock) -> float


def build_model(spec: RunSpec, vocabulary: Vocabulary,
                weights: Mapping[str, torch.Tensor] | None = None) -> TextAutoencoder:
    """The freshly initialised model of `spec`, drawn from torch's current random state.

    With the `weights` of a saved model it holds them, and needs no file of a pretrained one.
    """
    settings = asdict(spec.settings)
    family = zoo.family(spec.family)
    critics = bind(family.critics, spec.options) if family.critics else None
    refine = bind(family.refine, spec.options)(spec.settings.batch_size) if family.refine else None
    networks = None
    if spec.settings.net == "pretrained":
        networks = _networks(spec, vocabulary, spec.settings.latent if family.posterior else 0, weights)
    model = build(family.build_posterior(spec.options), len(vocabulary), networks=networks, critics=critics,
                  refine=refine, **{name: settings[name] for name in MODEL_SETTINGS})
    if weights is not None:
        model.load_state_dict(weights)
    return model


def _networks(spec: RunSpec, vocabulary: Vocabulary, latent: int, weights: Mapping[str, torch.Tensor] | None,
              ) -> tuple[nn.Module | None, nn.Module]:
    """Encoder and decoder of `net=pretrained`; those of saved weights, or fresh from the checkpoints of the spec."""
    if weights is not None:
        return optimus.rebuilt(weights, latent)
    settings = spec.settings
    transformer.check(settings.embedding, settings.hidden, settings.heads, settings.skip, settings.init)
    encoder = optimus.encoder(checkpoints.load("encoder", settings.encoder, spec.source, spec.id), vocabulary,
                              dropout=settings.encoder_dropout, tuned=settings.tuned) if latent else None
    if settings.decoder == checkpoints.SCRATCH:
        decoder = optimus.scratch(len(vocabulary), latent, width=settings.hidden, layers=settings.layers,
                                  heads=settings.heads, inner=settings.inner, init=settings.init,
                                  dropout_in=settings.dropout_in, dropout_layer=settings.dropout_layer,
                                  dropout_out=settings.dropout_out)
    else:
        decoder = optimus.decoder(checkpoints.load("decoder", settings.decoder, spec.source, spec.id), vocabulary,
                                  latent, dropout_out=settings.dropout_out)
    if latent:
        transformer.initialise("stack", decoder.memory, decoder.along)      # as small as GPT-2's embeddings
    return encoder, decoder


def build_terms(spec: RunSpec, model: TextAutoencoder) -> tuple[list[BoundTerm], nn.ModuleDict]:
    """The loss terms of `spec`, and those among them that carry state, as modules to checkpoint."""
    terms, stateful = [], nn.ModuleDict()
    for term in zoo.family(spec.family).terms:
        loss = bind(term.loss, spec.options)
        if inspect.isclass(term.loss):
            loss = stateful[term.name] = loss(model)
        terms.append(BoundTerm(term.name, loss, bind(term.weight, spec.options)))
    return terms, stateful
