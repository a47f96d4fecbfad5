"""A sentence with some of its words in another order."""

import torch


def swap_neighbours(x: torch.Tensor, probability: float) -> torch.Tensor:
    """Walk over the words from left to right and let each change places with the next one with `probability`.

    x (B, T) token ids `<s> … </s>`, padded with 0 -> a new (B, T).  The start, the end and the padding stay where they
    are; a word that moves right may be moved again (clvm, sec. 4.7).
    """
    x, length = x.clone(), (x != 0).sum(1)                                              # (B,)
    coins = torch.rand(x.shape, device=x.device) < probability                          # (B, T)
    for i in range(1, x.size(1) - 2):
        swap = coins[:, i] & (i + 1 < length - 1)                                       # (B,) word i + 1 is no end
        x[swap, i], x[swap, i + 1] = x[swap, i + 1], x[swap, i]
    return x
