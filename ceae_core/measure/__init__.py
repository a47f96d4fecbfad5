"""All measures of one model on one test set, under names that carry their unit.

What a paper reports and what is true never share a name: `kl_nats`, `nelbo_…`, `ppl_word` rest on a closed form and are
None for implicit posteriors; those have `…_dual…` (by critics, as paper B) and, if linear, `…_exact…`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.distributions import Distribution

from ceae_core.corpora.batching import Encoded, plan
from ceae_core.measure import bound, fitting, implicit, latent, likelihood
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.posteriors import Latent
from ceae_core.progress import bar

DEFINITIONS = {
    "rec_nats_per_sentence": "-log p(x|z), one z from q(z|x) or the code itself; end symbol counted",
    "kl_nats": "analytic KL(q(z|x) || p(z)), mean over sentences; None for implicit posteriors",
    "nelbo_nats_per_sentence": "Rec + kl_nats with weight 1; the exact -log p(x) of a language model",
    "ppl_word": "exp of that per predicted token, end symbols counted",
    "tokens_per_sentence": "predicted tokens per test sentence, end symbol counted",
    "mi_minibatch_nats": "I(x; z) inside minibatches of 32 sentences of one length; ceiling log 32",
    "mi_dataset_nats": "I(x; z) over the whole test set; ceiling log N",
    "active_units": "units whose posterior mean has variance >= 0.01",
    "kl_dual_nats": "implicit posteriors: E_q f - E_p e^f + 1 by the critic f(z, h), the papers' KL; no bound",
    "kl_dv_nats": "the Donsker-Varadhan estimate by the same critic",
    "kl_aggregate_dual_nats": "KL(q(z) || p(z)) by the critic g(z)",
    "mi_dual_nats": "kl_dual_nats - kl_aggregate_dual_nats, the papers' MI",
    "dual_negative_share": "share of groups of 32 sentences whose KL by the critic is negative",
    "nelbo_dual_nats_per_sentence": "Rec + kl_dual_nats, the papers' -ELBO; no bound",
    "ppl_dual_word": "exp of that per predicted token, the papers' PPL; no bound",
    "kl_exact_nats": "the true KL(q(z|x) || p(z)) of a linear noise head, whose posterior is Gaussian",
    "mi_exact_nats": "I(x; z) over the whole test set by the mixture of those posteriors; ceiling log N",
    "nelbo_exact_nats_per_sentence": "Rec + kl_exact_nats, a bound",
    "ppl_exact_word": "exp of that per predicted token",
    "nll_iw_nats": "importance-weighted bound on -log p(x), iw_samples codes, on the first iw_sentences test sentences",
    "nll_iw_se": "standard error of that mean over sentences",
    "ppl_iw_word": "exp of that bound per predicted token of the same sentences",
    "iw_ess": "effective number of those codes, (sum w)^2 / sum w^2, mean over sentences",
    "iw_proposal": "where the codes came from: chosen and fitted on the validation split",
}
BY_CRITICS = ("kl_dual_nats", "kl_dv_nats", "kl_aggregate_dual_nats", "mi_dual_nats", "dual_negative_share",
              "kl_exact_nats", "mi_exact_nats")


def measure(model: TextAutoencoder, test: Encoded, valid: Encoded, device: torch.device, *, seed: int,
            iw_samples: int, iw_sentences: int, iw_refine: int = 0, label: str = "measure") -> dict[str, Any]:
    """Every measure of DEFINITIONS; None where the family has no such quantity.

    On `valid` the proposal of the importance-weighted bound is fitted and chosen; with `iw_refine` > 0 one that is
    refined by so many steps for each sentence stands for choice too.
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
    out |= _implicit_measures(model, rec, test, device, seed)
    return out | _bound_measures(model, test.take(np.arange(min(iw_sentences, len(test)))), valid, device, seed,
                                 iw_samples, iw_refine, label)


def _code_measures(model: TextAutoencoder, test: Encoded, device: torch.device, seed: int) -> Mapping[str, Any]:
    if model.posterior is None:
        return {"mi_minibatch_nats": None, "mi_dataset_nats": None, "active_units": None}
    mu, logvar = latent.codes(model, test, device)
    minibatch = dataset = None
    if logvar is not None:
        minibatch = latent.minibatch_information(mu, logvar, test.lengths, seed)
        dataset = latent.mutual_information(mu, logvar, seed)
    elif model.posterior.bounded:
        def density(rows: np.ndarray) -> Distribution:
            return model.posterior.density(Latent(mu[rows], mu[rows], mu[rows]))
        groups = plan(test.lengths, latent.MINIBATCH, "same_length", seed, 0)
        minibatch, dataset = (latent.information(density, each, seed) for each in (groups, [np.arange(len(test))]))
    return {"mi_minibatch_nats": minibatch, "mi_dataset_nats": dataset, "active_units": latent.active_units(mu)}


def _implicit_measures(model: TextAutoencoder, rec: torch.Tensor, test: Encoded, device: torch.device, seed: int,
                       ) -> Mapping[str, Any]:
    """Estimates by critics and exact values; `rec` (N,) nats."""
    found = (implicit.divergences(model, test, device, seed) if model.critics is not None
             else dict.fromkeys(BY_CRITICS))
    for kind in ("dual", "exact"):
        kl = found[f"kl_{kind}_nats"]
        bounded = None if kl is None else rec + kl
        found[f"nelbo_{kind}_nats_per_sentence"] = None if kl is None else float(bounded.mean())
        found[f"ppl_{kind}_word"] = None if kl is None else likelihood.perplexity(bounded, test.lengths)
    return found


def _bound_measures(model: TextAutoencoder, first: Encoded, valid: Encoded, device: torch.device, seed: int,
                    samples: int, refine: int, label: str) -> Mapping[str, Any]:
    """The importance-weighted bound on the sentences `first`; a language model's exact -log p(x) takes its place."""
    if model.posterior is None:
        nats, how = likelihood.rec_and_kl(model, first, device, seed)[0], "none: exact"
        more = {"iw_ess": None, "iw_samples": 1}
    else:
        proposal = fitting.choose(model, valid, device, seed, samples=samples, refine=refine).best
        with bar(len(first), label) as shown:
            weights = bound.log_weights(model, bound.encode(model, first, device, seed), proposal, samples, seed,
                                        "bound", tick=shown.update)
        nats, how = bound.bound(weights), proposal.describe()
        more = {"iw_ess": float(bound.effective_samples(weights).mean()), "iw_samples": samples}
    return {
        "nll_iw_nats": float(nats.mean()),
        "nll_iw_se": float(nats.std() / len(nats) ** 0.5) if len(nats) > 1 else None,
        "ppl_iw_word": likelihood.perplexity(nats, first.lengths),
        **more, "iw_sentences": len(first), "iw_proposal": how,
    }
