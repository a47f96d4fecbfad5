"""Classifiers side by side: as one by one with plain modules, and on data whose separability is known."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.measure import probe
from ceae_core.measure.probe import Labelled, Protocol

SIZE = 6
QUICK = Protocol(epochs=4, dropout=0.4)


def blobs(count: int, apart: float, seed: int, size: int = SIZE) -> Labelled:
    """Two classes with unit variance, their means `apart`: the best accuracy is Phi(apart / 2)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    x = rng.normal(size=(count, size))
    x[:, :2] += (2 * y - 1)[:, None] * apart / 2 / np.sqrt(2)
    return Labelled(torch.from_numpy(x).float(), torch.from_numpy(y))


def rows_of(count: int, of: int, seeds: int) -> torch.Tensor:
    return torch.stack([torch.randperm(of, generator=torch.Generator().manual_seed(s))[:count] for s in range(seeds)])


class Dropped(torch.nn.Module):
    """Stands in the place of dropout in a plain module: multiplies with what it is given."""

    keep: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.keep


def naive(pool: Labelled, rows: torch.Tensor, valid: Labelled, seed: int, classes: int, protocol: Protocol):
    """One classifier, a plain module under torch's own Adam: state of the best epoch, its loss and number, epochs."""
    net = probe.initial(seed, protocol, pool.x.size(1), classes)
    drops = [i for i, layer in enumerate(net) if isinstance(layer, torch.nn.Dropout)]
    for i in drops:
        net[i] = Dropped()
    optimiser = torch.optim.Adam(net.parameters(), protocol.lr)
    rate, bad, decays, best, best_loss, best_epoch = protocol.lr, 0, 0, None, float("inf"), 0
    for epoch in range(1, protocol.epochs + 1):
        order, keep = probe.epoch_draws(seed, len(rows), epoch, protocol, pool.x.size(1))
        for start in range(0, len(rows), protocol.batch_size):
            part = slice(start, start + protocol.batch_size)
            chosen = rows[order[part]]
            for layer, i in enumerate(drops):
                net[i].keep = keep[part, layer]
            optimiser.zero_grad()
            F.cross_entropy(net(pool.x[chosen]), pool.y[chosen]).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), protocol.clip)
            optimiser.step()
        for i in drops:
            net[i].keep = torch.ones(())
        with torch.no_grad():
            loss = float(F.cross_entropy(net(valid.x), valid.y))
        bad += 1
        if loss < best_loss:
            best, best_loss, best_epoch, bad = {k: v.clone() for k, v in net.state_dict().items()}, loss, epoch, 0
        if bad >= protocol.patience:
            rate, bad, decays = rate / 2, 0, decays + 1
            net.load_state_dict(best)
            optimiser = torch.optim.Adam(net.parameters(), rate)
            if decays == protocol.max_decays:
                break
    net.load_state_dict(best)
    return net, best_loss, best_epoch, epoch


@pytest.mark.parametrize("head", ["mlp", "linear"])
@pytest.mark.parametrize("change", [{}, {"patience": 1, "lr": 0.05, "max_decays": 2, "epochs": 30}, {"clip": 0.05}])
def test_side_by_side_is_one_by_one(head, change) -> None:
    """Three seeds in one tensor against a loop over plain modules: weights, losses, epochs, accuracies; the second
    case goes through decays and stops, each seed at its own epoch; the third clips."""
    protocol = Protocol(**{"head": head, "epochs": 5, "dropout": 0.4} | change)
    pool, valid, test = blobs(80, 1.5, 0), blobs(60, 1.5, 1), blobs(50, 1.5, 2)
    rows = rows_of(37, 80, 3)                                            # the last batch has 5 sentences
    found = probe.train(pool, rows, valid, [4, 5, 6], 2, protocol)
    for m, seed in enumerate([4, 5, 6]):
        net, loss, best_epoch, epochs = naive(pool, rows[m], valid, seed, 2, protocol)
        torch.testing.assert_close(found.weights[m], torch.nn.utils.parameters_to_vector(net.parameters()).detach(),
                                   rtol=1e-3, atol=1e-5)
        assert float(found.valid_loss[m]) == pytest.approx(loss, rel=1e-5)
        assert (int(found.best_epoch[m]), int(found.epochs[m])) == (best_epoch, epochs)
        right = (net(test.x).argmax(-1) == test.y).float().mean()
        assert float(found.accuracy(test)[m]) == pytest.approx(float(right), abs=1e-6)
    if change.get("max_decays"):
        assert len(set(found.epochs.tolist())) > 1 and max(found.epochs.tolist()) < 30


def test_a_seed_does_not_depend_on_its_neighbours() -> None:
    pool, valid, rows = blobs(60, 1.0, 0), blobs(40, 1.0, 1), rows_of(32, 60, 3)
    together = probe.train(pool, rows, valid, [1, 2, 3], 2, QUICK)
    alone = probe.train(pool, rows[1:2], valid, [2], 2, QUICK)
    torch.testing.assert_close(together.weights[1:2], alone.weights, rtol=1e-4, atol=1e-6)
    again = probe.train(pool, rows, valid, [1, 2, 3], 2, QUICK)
    assert torch.equal(together.weights, again.weights)
    assert not torch.equal(together.weights[0], together.weights[2])


def test_what_a_seed_draws() -> None:
    protocol = Protocol(dropout=0.3)
    order, keep = probe.epoch_draws(1, 2000, 1, protocol, 8)
    assert sorted(order.tolist()) == list(range(2000)) and keep.shape == (2000, 2, 8)
    assert keep.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float((keep > 0).float().mean()) == pytest.approx(0.7, abs=4 * (0.21 / keep.numel()) ** 0.5)
    assert not torch.equal(order, probe.epoch_draws(1, 2000, 2, protocol, 8)[0])
    assert not torch.equal(order, probe.epoch_draws(2, 2000, 1, protocol, 8)[0])
    first, second = (probe.initial(seed, protocol, 8, 2)[0].weight for seed in (1, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("head", ["mlp", "linear"])
@pytest.mark.parametrize("apart", [1.0, 2.5])
def test_gaussian_blobs_come_near_the_best_accuracy(head, apart) -> None:
    """The best classifier has accuracy Phi(apart / 2); within three points and the error of 4,000 test sentences."""
    test = blobs(4000, apart, 2)
    found = probe.train(blobs(2000, apart, 0), rows_of(1000, 2000, 2), blobs(1000, apart, 1), [1, 2], 2,
                        Protocol(head, epochs=40, lr=1e-2))
    best = NormalDist().cdf(apart / 2)
    error = 3 * (best * (1 - best) / 4000) ** 0.5
    accuracy = found.accuracy(test)
    assert (accuracy > best - 0.03 - error).all() and (accuracy < best + error).all()


def test_a_linear_head_agrees_with_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression
    pool, test = blobs(600, 2.0, 0), blobs(3000, 2.0, 1)
    found = probe.train(pool, torch.arange(600)[None], blobs(600, 2.0, 2), [1], 2, Protocol("linear", lr=1e-2))
    other = LogisticRegression().fit(pool.x.numpy(), pool.y.numpy()).score(test.x.numpy(), test.y.numpy())
    assert float(found.accuracy(test)[0]) == pytest.approx(other, abs=0.015)


def exclusive_or(count: int, seed: int) -> Labelled:
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, SIZE))).float()
    return Labelled(x, ((x[:, 0] > 0) ^ (x[:, 1] > 0)).long())


def test_only_hidden_layers_learn_an_exclusive_or() -> None:
    pool, valid, test = (exclusive_or(2000, seed) for seed in range(3))
    rows = rows_of(2000, 2000, 1)
    accuracy = {head: float(probe.train(pool, rows, valid, [1], 2, Protocol(head, epochs=25, lr=5e-3)).accuracy(test))
                for head in ("mlp", "linear")}
    assert accuracy["mlp"] > 0.9 and 0.45 < accuracy["linear"] < 0.6


def test_labels_that_codes_know_nothing_of_are_guessed() -> None:
    """Chance, within four binomial standard errors of the 5,000 test sentences."""
    def noise(seed: int, count: int) -> Labelled:
        made = blobs(count, 0.0, seed)
        return Labelled(made.x, made.y)
    found = probe.train(noise(0, 500), rows_of(200, 500, 4), noise(1, 300), range(4), 2, Protocol(epochs=10))
    assert (found.accuracy(noise(2, 5000)) - 0.5).abs().max() < 4 * (0.25 / 5000) ** 0.5


def test_more_than_two_classes() -> None:
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(0, 4, 900))
    x = torch.nn.functional.one_hot(y, SIZE).float() * 4 + torch.from_numpy(rng.normal(size=(900, SIZE))).float()
    pool = Labelled(x, y)
    found = probe.train(pool, rows_of(400, 600, 1), pool, [1], 4, Protocol(epochs=30, lr=5e-3))
    assert float(found.accuracy(pool)) > 0.93


def test_the_epoch_with_the_lowest_validation_loss_is_kept() -> None:
    """Validation labels are turned round, so that learning makes the loss rise: the first epoch is the best."""
    pool = blobs(200, 3.0, 0)
    turned = Labelled(pool.x, 1 - pool.y)
    found = probe.train(pool, rows_of(200, 200, 2), turned, [1, 2], 2, Protocol(epochs=8, max_decays=9, lr=1e-2))
    assert found.best_epoch.tolist() == [1, 1] and found.epochs.tolist() == [8, 8]
    one = probe.train(pool, rows_of(200, 200, 2), turned, [1, 2], 2, Protocol(epochs=1, lr=1e-2))
    assert torch.equal(found.weights, one.weights)
    loss = F.cross_entropy(probe.logits(found.weights[:1], found.shapes, pool.x[None])[0], turned.y)
    assert float(found.valid_loss[0]) == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("patience, max_decays", [(2, 5), (1, 3), (3, 1)])
def test_when_it_stops(patience, max_decays) -> None:
    """Nothing is ever better than the first epoch: each `patience` further epochs halve the rate, the last stops."""
    pool = blobs(64, 3.0, 0)
    ticks: list[int] = []
    protocol = Protocol("linear", epochs=100, patience=patience, max_decays=max_decays, lr=0.1)
    found = probe.train(pool, rows_of(64, 64, 1), Labelled(pool.x, 1 - pool.y), [1], 2, protocol, ticks.append)
    assert found.epochs.tolist() == [1 + patience * max_decays] and sum(ticks) == 1 + patience * max_decays


@pytest.mark.parametrize("change, said", [
    ({"head": "tree"}, "mlp or linear"), ({"dropout": 1.0}, "dropout"), ({"epochs": 0}, "epochs"),
    ({"lr": -1.0}, "lr"), ({"patience": 0}, "patience")])
def test_a_protocol_that_makes_no_sense(change, said) -> None:
    with pytest.raises(CeaeError, match=said):
        Protocol(**change)
