"""Classifiers of frozen codes, trained on few labels (ceae, sec. 5, Table 3), those of all seeds side by side.

M classifiers of one shape are one tensor of weights (M, P), and a step of all of them is a few batched products.  What
a classifier draws depends on its own seed alone, so it comes out the same whoever is trained beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.seeding import derive, seeded

HIDDEN = {"mlp": 2, "linear": 0}        # head -> hidden layers, each as wide as the code
BETAS, EPSILON = (0.9, 0.999), 1e-8     # of Adam
ROWS_AT_ONCE = 4096                     # codes that all classifiers judge at a time


# DEVIATION(ceae:5): "a small MLP" is all that is said; layers, dropout, batch size, plateau rule and selection are
# those of the code of BN-VAE, which optimises by SGD with rate 1 unless Adam is chosen.  Here it is, since codes of
# different families have very different lengths and one rate has to do for all.
@dataclass(frozen=True)
class Protocol:
    """How a classifier is trained.  Raises CeaeError for values that make no sense."""

    head: str = "mlp"               # mlp: d -> d -> d -> classes, ReLU; linear: d -> classes
    dropout: float = 0.3            # behind each hidden layer
    batch_size: int = 16
    epochs: int = 100               # at most
    lr: float = 1e-3                # of Adam
    clip: float = 5.0               # largest norm of a gradient
    patience: int = 2               # epochs without improvement before the rate is halved
    max_decays: int = 5             # stop when the rate is to be halved for this time

    def __post_init__(self) -> None:
        if self.head not in HIDDEN:
            raise CeaeError(f"head: unknown value {self.head!r}; choose {' or '.join(HIDDEN)}")
        for name in ("batch_size", "epochs", "lr", "clip", "patience", "max_decays"):
            if getattr(self, name) <= 0:
                raise CeaeError(f"{name}: must be positive, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise CeaeError(f"dropout: must be at least 0 and below 1, not {self.dropout}")


@dataclass(frozen=True)
class Labelled:
    """Codes x (N, D) float32 and the numbers of their classes y (N,) int64."""

    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True)
class Trained:
    """M classifiers at their best epoch, counted from 1; `epochs` says after how many each stopped."""

    weights: torch.Tensor           # (M, P)
    shapes: Sequence[torch.Size]
    valid_loss: torch.Tensor        # (M,) nats per sentence
    best_epoch: torch.Tensor        # (M,)
    epochs: torch.Tensor            # (M,)

    def accuracy(self, data: Labelled) -> torch.Tensor:
        """(M,) share of `data` that each classifier gets right."""
        return _mean(self.weights, self.shapes, data, lambda scores, y: (scores.argmax(-1) == y).float())


def network(protocol: Protocol, size: int, classes: int) -> nn.Sequential:
    """One classifier of codes of `size` units as a plain module: what the stacks of weights stand for."""
    hidden = [layer for _ in range(HIDDEN[protocol.head])
              for layer in (nn.Linear(size, size), nn.ReLU(), nn.Dropout(protocol.dropout))]
    return nn.Sequential(*hidden, nn.Linear(size, classes))


def initial(seed: int, protocol: Protocol, size: int, classes: int) -> nn.Sequential:
    """`network` with the weights that a seed starts from."""
    with seeded(seed, "probe", "weights"):
        return network(protocol, size, classes)


def epoch_draws(seed: int, count: int, epoch: int, protocol: Protocol, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of one seed and epoch: the order (n,) of its sentences, and by place in it what dropout multiplies hidden units
    with (n, L, D): 0, or 1 / (1 - dropout)."""
    generator = torch.Generator().manual_seed(derive(seed, "probe", "epoch", epoch))
    order = torch.randperm(count, generator=generator)
    stays = torch.rand(count, HIDDEN[protocol.head], size, generator=generator) >= protocol.dropout
    return order, stays / (1.0 - protocol.dropout)


def unstack(weights: torch.Tensor, shapes: Sequence[torch.Size]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """By layer the matrices (M, out, in) and biases (M, out) of M classifiers; weights (M, P)."""
    parts = [part.unflatten(1, shape) for part, shape in
             zip(weights.split([shape.numel() for shape in shapes], 1), shapes, strict=True)]
    return list(zip(parts[0::2], parts[1::2], strict=True))


def logits(weights: torch.Tensor, shapes: Sequence[torch.Size], x: torch.Tensor) -> torch.Tensor:
    """(M, B, classes) scores of codes x (M, B, D) by M classifiers, nothing dropped."""
    *hidden, (matrix, bias) = unstack(weights, shapes)
    for inner, shift in hidden:
        x = torch.baddbmm(shift.unsqueeze(1), x, inner.mT).relu_()
    return torch.baddbmm(bias.unsqueeze(1), x, matrix.mT)


def gradient(weights: torch.Tensor, shapes: Sequence[torch.Size], x: torch.Tensor, y: torch.Tensor, keep: torch.Tensor,
             ) -> torch.Tensor:
    """(M, P) gradient of the mean cross-entropy of each classifier on its own codes x (M, B, D) of classes y (M, B);
    `keep` (M, B, L, D) is what dropout does.

    Written out: at this size the bookkeeping of automatic differentiation takes longer than the arithmetic.
    """
    layers, inputs = unstack(weights, shapes), []
    for i, (matrix, bias) in enumerate(layers):
        inputs.append(x)
        x = torch.baddbmm(bias.unsqueeze(1), x, matrix.mT)
        x = x.relu_().mul_(keep[:, :, i]) if i + 1 < len(layers) else x
    error = x.softmax(-1)                                                                               # (M, B, K)
    error.scatter_add_(2, y.unsqueeze(2), error.new_full((1, 1, 1), -1.0).expand(*y.shape, 1))
    error /= y.size(1)
    found = []
    for i, (matrix, _) in reversed(list(enumerate(layers))):
        found += [error.sum(1), torch.bmm(error.mT, inputs[i]).flatten(1)]
        if i:                                               # a unit that is 0 was dropped, or its ReLU was closed
            error = torch.bmm(error, matrix).mul_(keep[:, :, i - 1]).mul_(inputs[i] > 0)
    return torch.cat(found[::-1], 1)


class Adam:
    """Adam of M rows of weights, each with a rate and a count of steps of its own (kingma2015adam, alg. 1)."""

    def __init__(self, weights: torch.Tensor) -> None:
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        self.steps = torch.zeros(len(weights), 1)

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        """The weights (M, P) after a step against `gradient` (M, P) at the rates (M, 1)."""
        self.steps += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        of_first, of_second = (1 - beta ** self.steps for beta in BETAS)                                # (M, 1)
        spread = self.second.sqrt().add_(EPSILON * of_second.sqrt())
        return weights.addcdiv(self.first * (rate * of_second.sqrt() / of_first), spread, value=-1.0)

    def forget(self, rows: torch.Tensor) -> None:
        """Start anew for the rows (M,) that are marked."""
        for state in (self.first, self.second, self.steps):
            state[rows] = 0.0


def one_epoch(weights: torch.Tensor, shapes: Sequence[torch.Size], pool: Labelled, rows: torch.Tensor,
              seeds: Sequence[int], epoch: int, protocol: Protocol, moments: Adam, rate: torch.Tensor) -> torch.Tensor:
    """The weights (M, P) after a pass of each classifier over its own sentences, `rows` (M, n), at its rate (M, 1)."""
    drawn = [epoch_draws(seed, rows.size(1), epoch, protocol, pool.x.size(1)) for seed in seeds]
    order, keep = map(torch.stack, zip(*drawn, strict=True))
    chosen = rows.gather(1, order)                                                                      # (M, n)
    batches = (column.split(protocol.batch_size, 1) for column in (pool.x[chosen], pool.y[chosen], keep))
    for x, y, kept in zip(*batches, strict=True):
        slope = _clipped(gradient(weights, shapes, x, y, kept), protocol.clip)
        weights = moments.step(weights, slope, rate)
    return weights


def train(pool: Labelled, rows: torch.Tensor, valid: Labelled, seeds: Sequence[int], classes: int, protocol: Protocol,
          tick: Callable[[int], None] = lambda epochs: None) -> Trained:
    """Train a classifier for each seed on its own sentences, `rows` (M, n) of `pool`, in at most `epochs` epochs.

    The rate is halved after `patience` epochs without a better validation loss, training goes on from the best weights,
    and ends when it would be halved for the `max_decays`-th time.  `tick` is told of each epoch.
    """
    nets = [initial(seed, protocol, pool.x.size(1), classes) for seed in seeds]
    shapes = [weight.shape for weight in nets[0].parameters()]
    weights = torch.stack([nn.utils.parameters_to_vector(net.parameters()).detach() for net in nets])    # (M, P)
    moments, rate = Adam(weights), torch.full((len(nets), 1), protocol.lr)
    bad, decays = (torch.zeros(len(nets), dtype=torch.long) for _ in range(2))
    best, best_loss = weights.clone(), torch.full((len(nets),), torch.inf)
    best_epoch, epochs = torch.zeros_like(bad), torch.zeros_like(bad)
    running = torch.ones(len(nets), dtype=torch.bool)
    for epoch in range(1, protocol.epochs + 1):
        weights = one_epoch(weights, shapes, pool, rows, seeds, epoch, protocol, moments, rate)
        losses = _mean(weights, shapes, valid, lambda scores, y: F.cross_entropy(scores.mT, y, reduction="none"))
        better = running & (losses < best_loss)
        best[better], best_loss[better], best_epoch[better] = weights[better], losses[better], epoch
        bad = torch.where(better, 0, bad + 1)
        epochs[running] = epoch
        decayed = running & (bad >= protocol.patience)
        decays[decayed] += 1
        bad[decayed], rate[decayed], weights[decayed] = 0, rate[decayed] / 2, best[decayed]
        moments.forget(decayed)
        running &= decays < protocol.max_decays
        tick(1)
        if not running.any():
            break
    return Trained(best, shapes, best_loss, best_epoch, epochs)


def _clipped(gradient: torch.Tensor, largest: float) -> torch.Tensor:
    """Each row (M, P) scaled to at most that norm."""
    return gradient * (largest / gradient.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)


@torch.no_grad()
def _mean(weights: torch.Tensor, shapes: Sequence[torch.Size], data: Labelled,
          value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """(M,) mean over `data` of value(scores (M, B, K), classes (M, B)) -> (M, B)."""
    total = torch.zeros(len(weights))
    for x, y in zip(data.x.split(ROWS_AT_ONCE), data.y.split(ROWS_AT_ONCE), strict=True):
        scores = logits(weights, shapes, x.expand(len(weights), -1, -1))
        total += value(scores, y.expand(len(weights), -1)).sum(1)
    return total / len(data.y)
