"""MLPs of several seeds side by side: each is the plain MLP of its seed."""

import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.experiments.stacked import StackedMLP, Streams
from ceae_core.seeding import seeded

SIZES = (3, 7, 5, 2)


def plain(seed: int) -> nn.Sequential:
    """The MLP of one seed as PyTorch starts it."""
    with seeded(seed, "start", "net"):
        first, second, third = (nn.Linear(a, b) for a, b in zip(SIZES, SIZES[1:], strict=False))
    return nn.Sequential(first, nn.ELU(), second, nn.ELU(), third)


def test_each_seed_has_its_own_network_with_pytorchs_start():
    stacked = StackedMLP(SIZES, [4, 9], "net", lambda h: F.elu(h, inplace=True))
    x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([plain(seed)(inputs) for seed, inputs in zip((4, 9), x, strict=True)])
    torch.testing.assert_close(stacked(x), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected[0], plain(9)(x[0]))


def test_gradients_stay_with_their_seed():
    stacked, x = StackedMLP(SIZES, [4, 9], "net", lambda h: F.elu(h, inplace=True)), torch.ones(2, 6, 3)
    stacked(x)[0].square().sum().backward()
    alone = plain(4)
    alone(x[0]).square().sum().backward()
    for stack, layer in zip(stacked.weights, alone[::2], strict=True):
        torch.testing.assert_close(stack.grad[0], layer.weight.grad, rtol=1e-4, atol=1e-6)
        assert stack.grad[1].abs().sum() == 0
    for stack, layer in zip(stacked.biases, alone[::2], strict=True):
        torch.testing.assert_close(stack.grad[0].squeeze(-1), layer.bias.grad, rtol=1e-4, atol=1e-6)


def test_a_purpose_names_a_start():
    one, other = (StackedMLP(SIZES, [4], purpose, torch.relu) for purpose in ("net", "another"))
    assert not torch.equal(one.weights[0], other.weights[0])


def test_streams_do_not_depend_on_their_company():
    together, alone = Streams([3, 5], "noise"), Streams([5], "noise")
    torch.testing.assert_close(together.normal(2, 20)[1], alone.normal(2, 20)[0], rtol=0, atol=0)
    assert torch.equal(together.integers(4, 30)[1], alone.integers(4, 30)[0])
    assert not torch.equal(together.normal(20)[0], together.normal(20)[1])
    assert not torch.equal(Streams([5], "noise").normal(20), Streams([5], "other").normal(20))


def test_draws_have_their_distributions():
    counts = Streams([1], "uniform").integers(3, 3000)[0].bincount()
    assert len(counts) == 3 and counts.min() > 900                  # sd 26 around 1000
    normal = Streams([1], "noise").normal(50, 200)[0]
    assert normal.shape == (50, 200) and abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05
