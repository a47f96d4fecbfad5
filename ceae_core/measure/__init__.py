"""All measures of one model on one test set, under names that carry their unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.measure import latent, likelihood
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.progress import bar

DEFINITIONS = {
    "rec_nats_per_sentence": "-log p(x|z), one z from q(z|x) or the code itself; end symbol counted",
    "kl_nats": "analytic KL(q(z|x) || N(0, I)), mean over sentences",
    "nelbo_nats_per_sentence": "Rec + KL with weight 1; the exact -log p(x) of a language model",
    "ppl_word": "exp of -ELBO per predicted token, end symbols counted",
    "mi_minibatch_nats": "I(x; z) inside minibatches of 32 sentences of one length; ceiling log 32",
    "mi_dataset_nats": "I(x; z) over the whole test set; ceiling log N",
    "active_units": "units whose posterior mean has variance >= 0.01",
    "nll_iw_nats": "importance-weighted bound on -log p(x) on the first iw_sentences test sentences",
    "nll_iw_se": "standard error of that mean over sentences",
    "ppl_iw_word": "exp of that bound per predicted token of the same sentences",
    "tokens_per_sentence": "predicted tokens per test sentence, end symbol counted",
}


def measure(model: TextAutoencoder, test: Encoded, valid: Encoded, device: torch.device, *, seed: int,
            iw_samples: int, iw_sentences: int, label: str = "measure") -> dict[str, Any]:
    """Every measure of DEFINITIONS; None where the family has no such quantity.

    `valid` chooses the proposal of the importance-weighted bound for deterministic codes.
    """
    rec, kl = likelihood.rec_and_kl(model, test, device, seed)
    bounded = rec + kl if kl is not None else rec if model.posterior is None else None
    out: dict[str, Any] = {
        "rec_nats_per_sentence": float(rec.mean()),
        "kl_nats": None if kl is None else float(kl.mean()),
        "nelbo_nats_per_sentence": None if bounded is None else float(bounded.mean()),
        "ppl_word": None if bounded is None else likelihood.perplexity(bounded, test.lengths),
        "tokens_per_sentence": float(np.mean(test.lengths - 1)),
    }
    out |= _code_measures(model, test, device, seed)
    first = test.take(np.arange(min(iw_sentences, len(test))))
    proposal = likelihood.choose_proposal(model, valid, device, seed)
    with bar(len(first), label) as shown:
        bound = likelihood.importance_weighted(model, first, device, iw_samples, seed, proposal, shown.update)
    return out | {
        "nll_iw_nats": float(bound.mean()),
        "nll_iw_se": float(bound.std() / len(bound) ** 0.5) if len(bound) > 1 else None,
        "ppl_iw_word": likelihood.perplexity(bound, first.lengths),
        "iw_samples": iw_samples if model.posterior else 1, "iw_sentences": len(first),
        "iw_proposal": proposal.describe() if model.posterior else "none: exact",
    }


def _code_measures(model: TextAutoencoder, test: Encoded, device: torch.device, seed: int) -> Mapping[str, Any]:
    if model.posterior is None:
        return {"mi_minibatch_nats": None, "mi_dataset_nats": None, "active_units": None}
    mu, logvar = latent.codes(model, test, device)
    has_density = logvar is not None
    return {
        "mi_minibatch_nats": latent.minibatch_information(mu, logvar, test.lengths, seed) if has_density else None,
        "mi_dataset_nats": latent.mutual_information(mu, logvar, seed) if has_density else None,
        "active_units": latent.active_units(mu),
    }
