"""Aggressive encoder updates: who moves, on what, for how long, and when it ends for good."""

import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from ceae_core.steps import aggressive as step_function
from ceae_core.steps.aggressive import _chase
from ceae_core.training import Training

MODULE = sys.modules[_chase.__module__]        # the package's attribute of that name is the function


def weights(training: Training) -> list[list[torch.Tensor]]:
    return [[p.detach().clone() for p in side] for side in training.model.sides()]


def moved(before: list[list[torch.Tensor]], after: list[list[torch.Tensor]]) -> tuple[bool, bool]:
    """Whether all weights of (encoder and posterior, decoder) have changed; a side that changed in part is an error."""
    out = []
    for mine, theirs in zip(before, after, strict=True):
        changed = {not torch.equal(a, b) for a, b in zip(mine, theirs, strict=True)}
        assert len(changed) == 1
        out.append(changed.pop())
    return tuple(out)


def test_the_encoder_moves_alone_and_then_the_decoder_alone(smoke, monkeypatch):
    training, sides = smoke("agg-vae", max_inner=3, check_every=50), []
    descend = training.descend

    def watched(loss, move=None):
        before = weights(training)
        descend(loss, move)
        sides.append(moved(before, weights(training)))
    monkeypatch.setattr(training, "descend", watched)
    training._one_step()
    assert sides == [(True, False)] * 3 + [(False, True)]
    training.memory["aggressive"] = False
    training._one_step()
    assert sides[4:] == [(True, True)]


def test_the_gradient_of_one_side_is_clipped_with_that_of_the_other(smoke):
    """One SGD step of rate 1: what moves is the gradient times clip / norm of the whole gradient."""
    training = smoke("agg-vae", optimiser="sgd", lr=1.0, clip=0.01, decay="none")
    x = training.train_set.batch(training.batches[0])
    own = training.model.own_parameters()

    def loss() -> torch.Tensor:
        torch.manual_seed(0)
        latent = training.model.encode(x, training.clock())
        return training.model.nll(x, latent.z).mean() + latent.kl.sum(-1).mean()
    whole = torch.autograd.grad(loss(), own)
    norm = torch.stack([g.norm() for g in whole]).norm()
    encoder, decoder = training.model.sides()
    before = [p.detach().clone() for p in own]
    training.descend(loss(), move=decoder)
    assert norm > 0.1
    for p, old, gradient in zip(own, before, whole, strict=True):
        expected = old - gradient * 0.01 / norm if any(p is d for d in decoder) else old
        torch.testing.assert_close(p.detach(), expected)


@pytest.fixture
def chased(smoke, monkeypatch) -> Callable[[Iterator[float]], tuple[int, list[torch.Tensor], Training]]:
    """chased(losses per word): updates made, the batches they saw; nothing is computed or moved."""
    training = smoke("agg-vae")

    def chase(per_word: Iterator[float], max_inner: int = 12, check_every: int = 3):
        seen = []

        def descend(training, x, move):
            seen.append(x)
            assert all(a is b for a, b in zip(move, training.model.sides()[0], strict=True))
            words = float((x != 0).sum() - len(x))
            return {"loss": torch.tensor(next(per_word) * words / len(x), dtype=torch.float64)}
        monkeypatch.setattr(MODULE, "encode_once", lambda training, x, clock: x)
        monkeypatch.setattr(MODULE, "descend", descend)
        first = training.train_set.batch(training.batches[5])
        torch.manual_seed(0)
        return _chase(training, first, training.clock(), max_inner, check_every), seen, training
    return chase


@pytest.mark.parametrize(("windows", "updates"), [
    ([5.0, 4.0, 3.0, 2.0], 12), ([5.0, 5.1, 3.0, 2.0], 6), ([5.0, 4.0, 4.1, 2.0], 9), ([5.0, 1.0, 4.0, 2.0], 9)])
def test_it_stops_when_a_window_is_worse_than_the_one_before(chased, windows: list[float], updates: int):
    done, seen, _ = chased(loss for window in windows for loss in (window + 0.9, window - 1.0, window + 0.1))
    assert done == len(seen) == updates


def test_losses_are_compared_per_word(chased):
    """Batches differ in length; a constant loss per word, falling by a hair, never looks worse."""
    done, seen, _ = chased((3.0 - 1e-6 * i for i in range(100)), max_inner=40, check_every=1)
    assert done == 40 and len({x.size(1) for x in seen}) > 1


def test_it_starts_from_the_batch_at_hand_and_goes_on_with_random_ones(chased):
    _, seen, training = chased((1.0 for _ in range(100)), max_inner=60, check_every=99)
    plan = [training.train_set.batch(rows) for rows in training.batches]
    places = [next(i for i, x in enumerate(plan) if torch.equal(x, batch)) for batch in seen]
    assert places[0] == 5 and len(set(places)) > 20 and len(places) == 60


def test_it_ends_for_good_when_the_information_falls(smoke, monkeypatch):
    values, looks = [0.5, 0.7, 0.6, 0.9], []

    def information(mu, logvar, lengths, seed):
        assert len(mu) == len(lengths) == 200
        looks.append(training.step)
        return values[len(looks) - 1]
    monkeypatch.setattr(MODULE, "minibatch_information", information)
    training = smoke("agg-vae", epochs=6, batch_size=400, max_inner=2, check_every=9)
    for _ in range(17):
        training._one_step()
        assert training.model.training
        if training.position == len(training.batches):
            training._end_epoch()
    assert looks == [3, 6, 9]                       # before the second, third and fourth epoch; then no more
    assert training.memory == {"aggressive": False, "information": 0.6}
    assert [row["train_encoder_updates"] for row in training.history] == [2.0, 2.0, 2.0, 1.0, 1.0]


def test_information_that_stays_equal_does_not_end_it(smoke, monkeypatch):
    monkeypatch.setattr(MODULE, "minibatch_information", lambda *_: 0.0)
    training = smoke("agg-vae", epochs=3, batch_size=400, max_inner=1, check_every=9)
    training.run(lambda now: None)
    assert training.memory["aggressive"] is True


def test_looking_at_the_information_draws_nothing_from_the_training(smoke):
    """Without inner updates it stays the VAE, bit for bit, also in epochs that begin with a look."""
    few = {"epochs": 2, "batch_size": 400}
    looking, plain = smoke("agg-vae", max_inner=0, **few), smoke("vae", **few)
    for training in (looking, plain):
        training.run(lambda now: None)
    assert "information" in looking.memory
    theirs = plain.model.state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in looking.model.state_dict().items())


def test_the_defaults_are_those_of_the_released_code():
    assert step_function.__kwdefaults__ == {"max_inner": 99, "check_every": 15}
