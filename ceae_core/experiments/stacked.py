"""MLPs of several seeds trained side by side: every weight has a leading seed axis, every layer is one batched product.

What one seed computes does not depend on the others, so training five at once is training each alone, only faster.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ceae_core.seeding import derive, seeded


class StackedMLP(nn.Module):
    """One MLP per seed, all with layers of these `sizes`, PyTorch's default start and `activation` between layers.

    `activation` may work in place.  `purpose` names the stream from which a seed's weights are drawn.
    """

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], purpose: str,
                 activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        layers = [_start(sizes, seed, purpose) for seed in seeds]
        self.weights = nn.ParameterList(torch.stack([layer.weight for layer in column])         # (S, out, in)
                                        for column in zip(*layers, strict=True))
        self.biases = nn.ParameterList(torch.stack([layer.bias.unsqueeze(1) for layer in column])   # (S, out, 1)
                                       for column in zip(*layers, strict=True))
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (S, N, in) -> (S, N, out)."""
        x = x.transpose(1, 2).contiguous()  # points last: products with few inputs or outputs are slow otherwise
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, weight, x)                                                  # (S, out, N)
            if i < last:
                x = self.activation(x)
        return x.transpose(1, 2)


def _start(sizes: Sequence[int], seed: int, purpose: str) -> list[nn.Linear]:
    with seeded(seed, "start", purpose), torch.no_grad():
        return [nn.Linear(a, b).requires_grad_(False) for a, b in zip(sizes, sizes[1:], strict=False)]


class Streams:
    """One generator of random numbers per seed; a seed's draws do not depend on which others are there."""

    def __init__(self, seeds: Sequence[int], purpose: str) -> None:
        self.generators = [torch.Generator().manual_seed(derive(seed, purpose)) for seed in seeds]

    def normal(self, *shape: int) -> torch.Tensor:
        """(S, *shape) standard normal."""
        out = torch.empty(len(self.generators), *shape)
        for row, generator in zip(out, self.generators, strict=True):
            torch.randn(shape, generator=generator, out=row)
        return out

    def integers(self, below: int, count: int) -> torch.Tensor:
        """(S, count) uniform integers in [0, below)."""
        return torch.stack([torch.randint(below, (count,), generator=generator) for generator in self.generators])
