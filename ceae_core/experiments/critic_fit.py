"""Critics on codes that do not move: trained by the package's own losses, read on codes they have not seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from ceae_core.errors import CeaeError
from ceae_core.losses.dual import Critics, circle_loss, donsker_varadhan, dual_kl, fenchel_loss
from ceae_core.measure.implicit import LARGEST, negative_share
from ceae_core.progress import bar

LOSSES = {"fenchel": fenchel_loss, "circle": circle_loss}
Pairs = tuple[torch.Tensor, torch.Tensor]       # sentence vectors h (N, H) and a code z (N, Z) of each


@dataclass(frozen=True)
class Recipe:
    """How a critic is trained; the defaults are those of Implicit-LVM, but for the tame tail of e^f from `clamp` on.

    `prior_draws` are draws of the prior per code of a batch; `clip` bounds the norm of the gradient, `patience` is the
    number of looks without a better reading after which training ends; 0 is without either.  `every` is the number of
    updates between two looks.
    """

    critic_hidden: int = 512
    critic_layers: int = 3
    critic_lr: float = 1e-5
    loss: str = "fenchel"
    clamp: float = 30.0
    clip: float = 0.0
    batch_size: int = 32
    prior_draws: int = 1
    updates: int = 30_000
    every: int = 250
    patience: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise CeaeError(f"loss: unknown value {self.loss!r}; choose {' or '.join(LOSSES)}")
        for name in ("critic_hidden", "critic_layers", "batch_size", "prior_draws", "updates", "every"):
            if getattr(self, name) < 1:
                raise CeaeError(f"{name}: must be at least 1, not {getattr(self, name)}")

    def critics(self, hidden: int, latent: int) -> Critics:
        """New critics of this size, for h (H,) and z (Z,)."""
        return Critics(hidden, latent, critic_hidden=self.critic_hidden, critic_layers=self.critic_layers,
                       critic_lr=self.critic_lr)


@dataclass(frozen=True)
class Fitted:
    """What `fit` has seen: a row per look, the first before any update; the weights at the best look.

    A row holds `update`, the `readings`, and `batch_max_exp`: the largest e^f at the prior's draws of the batches since
    the last look.
    """

    rows: list[dict[str, float]]
    best: dict[str, torch.Tensor]
    best_at: int                    # the row of the highest dual estimate
    ended: int | None               # the update after which the critic was no number any more


def readings(f_q: torch.Tensor, f_p: torch.Tensor) -> dict[str, float]:
    """What critic values at codes (N,) and at draws of the prior (M,) say, in float64.

    dual_nats, dv_nats : the estimates `dual_kl` and `donsker_varadhan`
    f_q_nats           : E_q f, all that the encoder is charged
    mean_exp, max_exp  : mean and maximum of e^f over draws of the prior, at most e^LARGEST
    negative_share     : share of groups of 32 pairs whose dual estimate is negative
    """
    f_q, f_p = (values.double().clamp(max=LARGEST) for values in (f_q, f_p))
    return {"dual_nats": float(dual_kl(f_q, f_p)), "dv_nats": float(donsker_varadhan(f_q, f_p)),
            "f_q_nats": float(f_q.mean()), "mean_exp": float(f_p.exp().mean()), "max_exp": float(f_p.exp().max()),
            "negative_share": negative_share(f_q, f_p)}


@torch.no_grad()
def read(critics: Critics, held_out: Pairs, prior: torch.Tensor) -> dict[str, float]:
    """`readings` of f on pairs (h, z) and on draws of the prior (N, Z) beside the same h."""
    h, z = held_out
    return readings(critics.f(z, h), critics.f(prior, h))


def fit(critics: Critics, draw: Callable[[int], Pairs], held_out: Pairs, prior: torch.Tensor, recipe: Recipe,
        label: str) -> Fitted:
    """Train f of `critics`, in place, on batches of `draw(count)` and fresh draws of the prior.

    All draws are from the global generator.  Ends early when a look finds no number, or by the recipe's patience.
    """
    weights = list(critics.given_sentence.parameters())
    optimiser = torch.optim.Adam(weights, recipe.critic_lr, fused=True)
    rows: list[dict[str, float]] = []
    best: dict[str, torch.Tensor] = {}
    best_at, highest = 0, torch.tensor(-math.inf)
    with bar(recipe.updates, label) as progress:
        for update in range(recipe.updates + 1):
            if update % recipe.every == 0 or update == recipe.updates:
                row = {"update": update, **read(critics, held_out, prior),
                       "batch_max_exp": math.exp(min(float(highest), LARGEST))}
                if not all(map(math.isfinite, row.values())):
                    return Fitted(rows, best, best_at, update)
                if not rows or row["dual_nats"] > rows[best_at]["dual_nats"]:
                    best, best_at = {name: value.clone() for name, value in critics.state_dict().items()}, len(rows)
                rows.append(row)
                highest = torch.tensor(-math.inf)
                if recipe.patience and len(rows) - 1 - best_at >= recipe.patience:
                    break
            if update < recipe.updates:
                highest = highest.maximum(descend(critics, weights, optimiser, draw(recipe.batch_size), recipe))
                progress.update()
    return Fitted(rows, best, best_at, None)


def descend(critics: Critics, weights: list[torch.Tensor], optimiser: torch.optim.Optimizer, pairs: Pairs,
            recipe: Recipe) -> torch.Tensor:
    """One step on pairs (h, z) and `prior_draws` draws of the prior beside each h; the largest f at those draws."""
    h, z = pairs
    prior = torch.randn(recipe.prior_draws * len(z), z.size(-1))
    values = critics.f(torch.cat([z, prior]), torch.cat([h] * (1 + recipe.prior_draws)))
    loss = LOSSES[recipe.loss](values[:len(z)], values[len(z):], recipe.clamp)
    optimiser.zero_grad(set_to_none=True)
    loss.backward(inputs=weights)
    if recipe.clip:
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
    optimiser.step()
    return values[len(z):].detach().max()


def rounded(row: Mapping[str, float]) -> dict[str, float]:
    """Five significant digits, which keep files small."""
    return {name: value if isinstance(value, int) else float(f"{value:.5g}") for name, value in row.items()}


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Rows with the same keys as a list per key, rounded."""
    short = [rounded(row) for row in rows]
    return {name: [row[name] for row in short] for name in short[0]}
