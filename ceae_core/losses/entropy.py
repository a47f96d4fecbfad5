"""The entropy of codes, estimated directly by the distances of nearest neighbours."""

import math

import torch
from torch import nn


def kozachenko_leonenko(codes: torch.Tensor, neighbours: int = 1, nearest: float = 0.0) -> torch.Tensor:
    """Z ln R_i + ln V_Z + psi(N) - psi(k) of each code, nats (N,); the mean estimates the differential entropy.

    codes (N, Z); R_i is the distance to the k-th nearest of the others, V_Z the volume of the unit ball
    (kozachenko1987sample; kraskov2004estimating, eq. 20).  The gradient flows through the k-th neighbour alone.
    R_i counts as no less than `nearest`; at 0, a code that is there twice has -inf.
    """
    # DEVIATION(ceae:3.1): with N + 1 codes the paper has ln N + gamma for psi(N + 1) - psi(1); they differ by 1 / (2N).
    n, latent = codes.shape
    with torch.no_grad():
        distances = torch.cdist(codes, codes, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf)
        neighbour = distances.kthvalue(neighbours, dim=1).indices                       # (N,)
    squared = (codes - codes[neighbour]).square().sum(1).clamp(min=nearest ** 2)
    constants = torch.tensor([float(n), float(neighbours)], dtype=torch.float64).digamma()
    log_volume = 0.5 * latent * math.log(math.pi) - math.lgamma(0.5 * latent + 1.0)
    return 0.5 * latent * squared.log() + log_volume + float(constants[0] - constants[1])


class NearestNeighbourEntropy(nn.Module):
    """-H of the codes mu of a minibatch, by the estimator that CEAE's contrast stands in for (ceae, sec. 3.1).

    The paper says that direct implementations for language autoencoders fail to converge.  One does as soon as a batch
    has a sentence twice, whose code is at distance 0 from itself; codes nearer than `nearest` therefore count as that
    far and do not push each other.  `nearest=0` is the estimator as it is printed.
    """

    def __init__(self, model: nn.Module, *, neighbours: int = 1, nearest: float = 1e-6) -> None:
        super().__init__()
        self.neighbours, self.nearest = int(neighbours), nearest
        self.smallest_batch = self.neighbours + 1

    def forward(self, context) -> torch.Tensor:
        """(B,) nats."""
        return -kozachenko_leonenko(context.latent.mu, self.neighbours, self.nearest)
