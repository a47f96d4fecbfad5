"""How a batch is encoded once or twice, and what terms see of it."""

import pytest
import torch

from ceae_core.corpora.augment import swap_neighbours
from ceae_core.errors import CeaeError
from ceae_core.seeding import seeded
from ceae_core.steps.context import encode_once, encode_twice


def first_batch(training) -> torch.Tensor:
    training.model.train()
    return training.train_set.batch(training.batches[0])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_second_view_has_noise_and_dropout_of_its_own(smoke, dropout: float):
    training = smoke("cvae", encoder_dropout=dropout)
    context = encode_twice(training, first_batch(training), training.clock())
    first, second = context.latent, context.second
    assert torch.equal(first.h, second.h) == torch.equal(first.mu, second.mu) == (dropout == 0.0)
    assert not torch.isclose(first.z, second.z).any()


@pytest.mark.parametrize("augment", ["dropout", "swap"])
def test_the_second_view_takes_nothing_from_the_stream_of_the_step(smoke, augment: str):
    """So a step without the terms of two views is the step with one."""
    training = smoke("cvae")
    x, codes, after = first_batch(training), [], []
    for encode in (encode_once, lambda *given: encode_twice(*given, augment=augment)):
        torch.manual_seed(4)
        codes.append(encode(training, x, training.clock()).latent.z)
        after.append(torch.rand(3))
    assert torch.equal(*codes) and torch.equal(*after)


def test_the_second_view_follows_the_seed_and_the_step_alone(smoke):
    training, views = smoke("cvae"), []
    x = first_batch(training)
    for step, seed in ((0, 1), (0, 2), (1, 1)):
        training.step = step
        torch.manual_seed(seed)
        views.append(encode_twice(training, x, training.clock()).second.z)
    assert torch.equal(views[0], views[1]) and not torch.isclose(views[0], views[2]).any()


def test_swapping_changes_the_second_view_only(smoke):
    training = smoke("cvae", encoder_dropout=0.0)
    x, clock = first_batch(training), training.clock()
    context = encode_twice(training, x, clock, augment="swap", swap_probability=0.6)
    assert torch.equal(context.x, x)
    torch.testing.assert_close(context.latent.h, training.model.encode(x, clock).h)
    with seeded(training.spec.seed, "step", clock.step, "second view"):
        changed = swap_neighbours(x, 0.6)
    assert not torch.equal(changed, x)
    torch.testing.assert_close(context.second.h, training.model.encode(changed, clock).h)


def test_terms_are_means_over_the_views_that_count(smoke):
    training = smoke("cvae")
    x, clock = first_batch(training), training.clock()
    for views in (1, 2):
        context = encode_twice(training, x, clock, rec_views=views)
        values = [view.z.sum(-1) for view in (context.latent, context.second)][:views]
        assert len(context.views) == views and context.second is not None
        torch.testing.assert_close(context.mean(lambda view: view.z.sum(-1)), sum(values) / views)
    assert encode_once(training, x, clock).views[0].z.shape == (len(x), training.settings.latent)


def test_the_reconstruction_is_the_mean_of_both_views(smoke):
    """Rec keeps the scale that it has with one view, and a family that counts one view reads one code."""
    for views in (1, 2):
        training, read = smoke("cvae", rec_views=views), []
        nll = training.model.nll
        training.model.nll = lambda x, z, nll=nll, read=read: read.append(nll(x, z)) or read[-1]
        training._one_step()
        assert len(read) == views
        torch.testing.assert_close(training.totals["rec"].float(), sum(v.detach().mean() for v in read) / views)


def test_unknown_views_are_refused(smoke):
    training = smoke("cvae")
    given = training, first_batch(training), training.clock()
    with pytest.raises(CeaeError, match="augment.*'noise'.*dropout or swap"):
        encode_twice(*given, augment="noise")
    with pytest.raises(CeaeError, match="rec_views: must be 1 or 2"):
        encode_twice(*given, rec_views=3)
