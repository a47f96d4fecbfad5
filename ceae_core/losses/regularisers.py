"""Regularisers of autoencoders without a KL: distance of the codes from the prior, size of codes and weights."""

import torch
from torch import nn

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)       # of the kernel's width, around that of the prior


def imq_kernel(a: torch.Tensor, b: torch.Tensor, bandwidth: float = 1.0) -> torch.Tensor:
    """The sum over scales s of C / (C + |a - b|^2), C = 2 Z s `bandwidth` (tolstikhin2018wasserstein, sec. 4).

    a (N, Z), b (M, Z) -> (N, M).  2 Z is the mean squared distance of two draws of N(0, I).
    """
    squared = (a.unsqueeze(1) - b).square().sum(-1)                                     # (N, M)
    return sum(c / (c + squared) for c in (2.0 * a.size(1) * s * bandwidth for s in SCALES))


def mmd(codes: torch.Tensor, prior: torch.Tensor, bandwidth: float = 1.0) -> torch.Tensor:
    """The squared maximum mean discrepancy between codes (N, Z) and draws of the prior (N, Z), without bias, so that it
    may be negative; a scalar without unit (gretton2012kernel, eq. 3; tolstikhin2018wasserstein, alg. 2)."""
    n = len(codes)

    def within(sample: torch.Tensor) -> torch.Tensor:
        kernel = imq_kernel(sample, sample, bandwidth)
        return (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))

    return within(codes) + within(prior) - 2.0 * imq_kernel(codes, prior, bandwidth).mean()


class MMD(nn.Module):
    """`mmd` between the codes of a minibatch and as many draws of the prior."""

    smallest_batch = 2      # the terms within a sample leave out pairs of a code with itself

    def __init__(self, model: nn.Module, *, bandwidth: float = 1.0) -> None:
        super().__init__()
        self.bandwidth = bandwidth

    def forward(self, context) -> torch.Tensor:
        """A scalar."""
        z = context.latent.z
        return mmd(z, context.model.posterior.prior().sample(z.shape[:1]), self.bandwidth)


def code_norm(context) -> torch.Tensor:
    """|z|^2 / 2 of each sentence, (B,) (ghosh2020variational, sec. 3)."""
    return 0.5 * context.latent.z.square().sum(-1)


def decoder_norm(context) -> torch.Tensor:
    """Half the squared norm of the decoder's weights, a scalar: weight decay (ghosh2020variational, sec. 3)."""
    return 0.5 * sum(weight.square().sum() for weight in context.model.decoder.parameters())
