"""Contrast between codes as a surrogate of their entropy."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.models.autoencoder import lengths


def entropy_contrast(mu: torch.Tensor, keys: torch.Tensor, cached: torch.Tensor, *, temperature: float = 1.0,
                     normalise: bool = False, include_positive: bool = False) -> torch.Tensor:
    """L_ent before its weight: -<mu_i, k_i> + log sum_{j != i} exp <mu_i, mu_j>, nats (B,) (ceae, sec. A.1).

    mu (B, Z) codes, keys (B, Z) the momentum encoder's codes of the same sentences (positives), cached (M, Z) codes of
    earlier batches, further negatives.  All inner products are divided by `temperature`; `normalise` puts every code on
    the unit sphere; `include_positive` adds the positive to the sum, which makes it InfoNCE (oord2018representation;
    he2020momentum).
    """
    if normalise:
        mu, keys, cached = (F.normalize(v, dim=-1) for v in (mu, keys, cached))
    positive = (mu * keys).sum(-1) / temperature                                        # (B,)
    itself = torch.eye(len(mu), dtype=torch.bool, device=mu.device)
    others = (mu @ mu.T / temperature).masked_fill(itself, -torch.inf)                  # (B, B)
    logits = torch.cat([others, mu @ cached.T / temperature], 1)                        # (B, B + M)
    if include_positive:
        logits = torch.cat([logits, positive.unsqueeze(1)], 1)
    return logits.logsumexp(1) - positive


def info_nce(anchors: torch.Tensor, positives: torch.Tensor, temperature: float,
             left_out: torch.Tensor | None = None) -> torch.Tensor:
    """-l_i of clvm, eq. 8: cosine similarity, the other anchors of the batch as negatives, nats (B,).

    anchors, positives (B, Z).  The positive is in the denominator; at chance the value is log B.  `left_out` (B, B)
    marks pairs of anchors that are no negatives of each other.
    """
    anchors, positives = F.normalize(anchors, dim=-1), F.normalize(positives, dim=-1)
    positive = (anchors * positives).sum(-1) / temperature                              # (B,)
    logits = anchors @ anchors.T / temperature
    if left_out is not None:
        logits = logits.masked_fill(left_out, -torch.inf)
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    logits = torch.where(itself, positive.unsqueeze(1), logits)
    return logits.logsumexp(1) - positive


def view_contrast(context, *, contrast_on: str = "z", contrast_temperature: float = 0.05) -> torch.Tensor:
    """The contrast of two views of each sentence, of their codes (`contrast_on="z"`) or sentence vectors ("h"), nats
    (B,) (clvm, eq. 10 and Table 3).  Raises CeaeError for another place."""
    if contrast_on not in ("z", "h"):
        raise CeaeError(f"contrast_on: unknown value {contrast_on!r}; choose z or h")
    # DEVIATION(clvm:3.3): the temperature is not given; 0.05 is that of SimCSE, which the paper follows.
    first, second = (getattr(view, contrast_on) for view in (context.latent, context.second))
    return info_nce(first, second, contrast_temperature)


class MomentumContrast(nn.Module):
    """The entropy regulariser of CEAE with its momentum encoder and its cache of earlier batches (ceae, sec. 3.2, A.1).

    Each training call first moves the key encoder, theta' <- m theta' + (1 - m) theta, and copies batch norm's running
    statistics; keys are computed in the same batch-norm mode as the codes, without gradient.
    """

    smallest_batch = 2      # a sentence alone has nothing to contrast with

    def __init__(self, model: nn.Module, *, momentum: float = 0.99, cached_batches: int = 3, temperature: float = 1.0,
                 normalise: bool = False, include_positive: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise CeaeError(f"reduction: unknown value {reduction!r}; choose mean or sum")
        # DEVIATION(ceae:A.1): L_ent is printed as a sum over the data set, reconstruction per sentence; both are batch
        # means here, as in bn-vae, and `reduction="sum"` sums over the batch.
        # DEVIATION(ceae:A.4): A.1 says m = 0.999, A.4 that the reported figures use 0.99; 0.99 is the default.
        self.momentum, self.cached_batches, self.reduction = momentum, int(cached_batches), reduction
        self.contrast = {"temperature": temperature, "normalise": normalise, "include_positive": include_positive}
        self.encoder = copy.deepcopy(model.encoder).requires_grad_(False)
        self.posterior = copy.deepcopy(model.posterior).requires_grad_(False)
        self.cache: list[torch.Tensor] = []             # at most r tensors (B, Z), oldest first

    @torch.no_grad()
    def _follow(self, model: nn.Module) -> None:
        pairs = ((self.encoder, model.encoder), (self.posterior, model.posterior))
        for own, theirs in pairs:
            for key, query in zip(own.parameters(), theirs.parameters(), strict=True):
                key.lerp_(query, 1.0 - self.momentum)
            for key, query in zip(own.buffers(), theirs.buffers(), strict=True):
                key.copy_(query)

    def forward(self, context) -> torch.Tensor:
        """(B,) nats, of the sum over the batch if `reduction="sum"`."""
        model, x, latent = context.model, context.x, context.latent
        self._follow(model)
        with torch.no_grad(), context.autocast():
            h = self.encoder(x, lengths(x))
        with torch.no_grad():
            keys = self.posterior(h.float(), context.clock).mu                          # (B, Z)
        # DEVIATION(ceae:A.4): "r = 3 cached minibatches" is not explained; we keep the momentum codes of the last r
        # minibatches as further negatives.
        cached = torch.cat([keys[:0], *self.cache])
        loss = entropy_contrast(latent.mu, keys, cached, **self.contrast)
        if self.training and self.cached_batches:
            self.cache = [*self.cache, keys][-self.cached_batches:]
        return loss * (len(loss) if self.reduction == "sum" else 1)

    def get_extra_state(self) -> dict:
        return {"cache": self.cache}

    def set_extra_state(self, state: dict) -> None:
        self.cache = list(state["cache"])
