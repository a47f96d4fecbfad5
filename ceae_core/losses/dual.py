"""The dual form of the KL divergence: critics that are trained to tell codes from draws of the prior.

KL(q || p) = max_f  E_q f - E_p e^f + 1  (clvm, eq. 3, with the "+1" that the equation leaves out).  The encoder sees
only E_q f; the critics learn on codes without gradient.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.errors import CeaeError

SIGNS = ("paper", "adversarial")


def dual_kl(f_q: torch.Tensor, f_p: torch.Tensor) -> torch.Tensor:
    """The estimate E_q f - E_p e^f + 1 in nats from critic values at codes (N,) and at draws of the prior (M,).

    For any f its expectation is a lower bound on the KL (fang2019implicit, eq. 9); a sample of it may be negative, and
    its variance is that of e^f under the prior.
    """
    return f_q.mean() - f_p.exp().mean() + 1.0


def donsker_varadhan(f_q: torch.Tensor, f_p: torch.Tensor) -> torch.Tensor:
    """The tighter estimate E_q f - log E_p e^f in nats, of the same critic (belghazi2018mine, eq. 10)."""
    return f_q.mean() - f_p.logsumexp(0) + math.log(len(f_p))


def tamed_exp(f: torch.Tensor, limit: float) -> torch.Tensor:
    """e^f up to `limit`, from there on its tangent: one draw of the prior cannot end a training in an overflow, and a
    critic is still pushed down there."""
    return f.clamp(max=limit).exp() * (1.0 + F.relu(f - limit))


def fenchel_loss(f_q: torch.Tensor, f_p: torch.Tensor, clamp: float = 30.0) -> torch.Tensor:
    """What a critic minimises: E_p e^f - E_q f (fang2019implicit, alg. 1), e^f tamed from `clamp` on."""
    return tamed_exp(f_p, clamp).mean() - f_q.mean()


def circle_loss(f_q: torch.Tensor, f_p: torch.Tensor, clamp: float = 30.0) -> torch.Tensor:
    """softplus(-E_q f) + softplus(E_p e^f), the critic's loss of the "+" models (clvm, eq. 13)."""
    # DEVIATION(clvm:alg. 1): Eq. 13 has expectations where Eq. 18 sums over the batch; means here, since sums of 32
    # saturate the softplus.
    return F.softplus(-f_q.mean()) + F.softplus(tamed_exp(f_p, clamp).mean())


class Critics(nn.Module):
    """f(z, h), which judges a code beside its sentence vector, and g(z), which judges it alone (clvm, eq. 3 and 7).

    Both exist and learn in every model; each is an MLP with leaky ReLUs (Implicit-LVM).  h is never given a gradient.
    `lr` is the rate of their optimiser, Adam.
    """

    def __init__(self, hidden: int, latent: int, *, critic_hidden: int = 512, critic_layers: int = 3,
                 critic_lr: float = 1e-5) -> None:
        super().__init__()
        self.lr = critic_lr
        self.given_sentence = _mlp(latent + hidden, critic_hidden, int(critic_layers))
        self.alone = _mlp(latent, critic_hidden, int(critic_layers))

    def f(self, z: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """z (B, Z), h (B, H) -> (B,)."""
        return self.given_sentence(torch.cat([z, h.detach()], -1)).squeeze(-1)

    def g(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, Z) -> (B,)."""
        return self.alone(z).squeeze(-1)


def _mlp(inputs: int, width: int, layers: int) -> nn.Sequential:
    sizes = [inputs] + [width] * layers
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.LeakyReLU(0.01))]
    return nn.Sequential(*hidden, nn.Linear(width, 1))


class Dual(nn.Module):
    """The encoder's term and the critics' loss.

    `mi=False`: KL(q(z|x) || p) by f; `mi=True`: KL(q(z) || p) by g, which leaves mutual information free (clvm, eq. 7).
    `circle=False`: the encoder minimises E_q f (fang2019implicit, alg. 1).  `circle=True`: the loss of the "+" models,
    whose encoder minimises softplus(-E_q f) as printed (`encoder_sign="paper"`, clvm, eq. 19), which moves codes to
    where the critic finds them unlike the prior, or softplus(+E_q f) (`"adversarial"`).
    """

    smallest_batch = 1

    def __init__(self, model: nn.Module, *, mi: bool = False, circle: bool = False, encoder_sign: str = "paper",
                 square_weight: float = 1.0, clamp_exp: float = 30.0) -> None:
        super().__init__()
        if encoder_sign not in SIGNS:
            raise CeaeError(f"encoder_sign: unknown value {encoder_sign!r}; choose {' or '.join(SIGNS)}")
        self.mi, self.circle, self.sign = mi, circle, -1.0 if encoder_sign == "paper" else 1.0
        self.square_weight, self.clamp_exp = square_weight, clamp_exp

    def encoder_value(self, f_q: torch.Tensor) -> torch.Tensor:
        """What the encoder minimises, from a critic's values at codes (N,): f itself (N,), or with `circle` the
        softplus of its mean, a scalar."""
        # DEVIATION(clvm:3.3): eq. 15 to 19 push the encoder away from the prior; both signs are offered, the printed
        # one by default.
        return F.softplus(self.sign * f_q.mean()) if self.circle else f_q

    def critic_value(self, at_codes: Sequence[torch.Tensor], at_prior: Sequence[torch.Tensor]) -> torch.Tensor:
        """What one critic minimises, from its values at the codes of each view and at as many draws of the prior,
        (N,) each."""
        loss = circle_loss if self.circle else fenchel_loss
        total = sum(loss(f_q, f_p, self.clamp_exp) for f_q, f_p in zip(at_codes, at_prior, strict=True)) / len(at_codes)
        if self.circle and len(at_codes) == 2:
            # DEVIATION(clvm:3.3): Eq. 17 lacks the square that the text names; a mean over the batch, not a sum.
            first, second = at_codes
            total = total + self.square_weight * (first - second).square().mean()
        return total

    def forward(self, context) -> torch.Tensor:
        """The encoder's term: E_q f without reduction (B,), or the softplus of the batch's mean, a scalar."""
        critics = context.model.critics
        values = [self.encoder_value(critics.g(view.z) if self.mi else critics.f(view.z, view.h))
                  for view in context.views]
        return sum(values) / len(values)

    def critic_loss(self, context) -> torch.Tensor:
        """The loss of both critics on this batch's codes, without gradient, and fresh draws of the prior."""
        critics = context.model.critics
        values: list[list[torch.Tensor]] = []           # of f and of g at the codes and at the prior of each view
        for view in context.views:
            z, h = view.z.detach(), view.h.detach()
            both = torch.cat([z, torch.randn_like(z)])                                  # (2B, Z): codes, prior
            values.append([*critics.f(both, torch.cat([h, h])).chunk(2), *critics.g(both).chunk(2)])
        f_q, f_p, g_q, g_p = zip(*values, strict=True)
        return self.critic_value(f_q, f_p) + self.critic_value(g_q, g_p)
