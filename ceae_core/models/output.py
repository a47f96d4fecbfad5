"""From a decoder's features to the likelihood of sentences."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

ROWS_AT_ONCE = 1024     # tokens per slice of the output layer: keeps the (rows, V) logits small enough to be reused


def sentence_nll(features: torch.Tensor, x: torch.Tensor, lengths: torch.Tensor,
                 logits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """-log p of each sentence, nats: features (B, T-1, H) of x[:, :-1], x (B, T) with `<s> … </s>` and padding -> (B,).

    `logits(features (N, H), sentence of each (N,)) -> (N, V)`.  The end symbol is predicted and counted, the start
    symbol is not.  Only real tokens reach the output layer.
    """
    real = torch.arange(x.size(1) - 1, device=x.device) < (lengths - 1).unsqueeze(1)
    row = real.nonzero()[:, 0]                                                          # (N,) sentence of each token
    features, targets = features[real], x[:, 1:][real]                                  # (N, H), (N,)
    parts = zip(*(part.split(ROWS_AT_ONCE) for part in (features, targets, row)), strict=True)
    nll = torch.cat([F.cross_entropy(logits(f, r), t, reduction="none") for f, t, r in parts])
    return torch.zeros(len(x), device=x.device).index_add(0, row, nll)
