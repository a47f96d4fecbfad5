"""From a spec to modules: the model of a run and its loss terms."""

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

from torch import nn

from ceae_core import zoo
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


def build_model(spec: RunSpec, vocabulary_size: int) -> TextAutoencoder:
    """The freshly initialised model of `spec`, drawn from torch's current random state."""
    settings = asdict(spec.settings)
    family = zoo.family(spec.family)
    critics = bind(family.critics, spec.options) if family.critics else None
    refine = bind(family.refine, spec.options)(spec.settings.batch_size) if family.refine else None
    return build(family.build_posterior(spec.options), vocabulary_size, critics=critics, refine=refine,
                 **{name: settings[name] for name in MODEL_SETTINGS})


def build_terms(spec: RunSpec, model: TextAutoencoder) -> tuple[list[BoundTerm], nn.ModuleDict]:
    """The loss terms of `spec`, and those among them that carry state, as modules to checkpoint."""
    terms, stateful = [], nn.ModuleDict()
    for term in zoo.family(spec.family).terms:
        loss = bind(term.loss, spec.options)
        if inspect.isclass(term.loss):
            loss = stateful[term.name] = loss(model)
        terms.append(BoundTerm(term.name, loss, bind(term.weight, spec.options)))
    return terms, stateful
