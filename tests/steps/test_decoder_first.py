"""The decoder alone, then the autoencoder: what learns when, and that schedules count from there."""

import pytest
import torch

from ceae_core.errors import CeaeError
from ceae_core.training import Training

SHORT = {"epochs": 3, "batch_size": 200, "decoder_epochs": 1.0, "schedule_unit": 0.5}       # 6 steps an epoch


@pytest.fixture
def moved(advance):
    """moved(training, steps): names of what changes in so many steps, of weights and of batch norm's statistics."""
    def changed(training: Training, steps: int) -> set[str]:
        before = {name: value.clone() for name, value in training.model.state_dict().items()}
        advance(training, steps)
        return {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    return changed


@pytest.mark.parametrize("family", ["optimus", "optimus-bn-vae", "optimus-ceae"])
def test_at_first_the_decoder_learns_alone(family: str, smoke, advance, moved):
    """A language model: no code, no statistics of codes, no contrast.  Afterwards everything learns."""
    waits = {"t_max": 1} if family == "optimus-ceae" else {}        # epochs with noise are not chosen
    training = smoke(family, **SHORT, **waits)
    body = {name for name, _ in training.model.named_parameters() if name.startswith("decoder.body")}
    assert moved(training, 5) == body
    assert training.totals.keys() == {"decoder_alone", "loss"}
    advance(training, 1)
    assert training.history[0].keys() >= {"train_decoder_alone"} and "train_rec" not in training.history[0]
    assert training.best_epoch == -1                                # nothing is chosen before there is an autoencoder
    learning = {name for name, weight in training.model.named_parameters() if weight.requires_grad}
    assert moved(training, 6) >= learning
    assert training.history[1].keys() >= {"train_rec"} and "train_decoder_alone" not in training.history[1]
    assert training.best_epoch == 2


@torch.no_grad()
def test_the_loss_of_that_time_is_that_of_the_language_model(smoke):
    training = smoke("optimus", **SHORT)
    x = training.train_set.batch(training.batches[0])
    expected = float(training.model.eval().nll(x, None).mean())
    with torch.enable_grad():
        training._one_step()
    assert float(training.totals["loss"]) == pytest.approx(expected, rel=1e-5)
    assert training.totals["loss"] == training.totals["decoder_alone"]


def test_schedules_and_the_rate_begin_when_the_decoder_has_learnt(smoke, advance):
    """CEAE's epochs are counted from there: 3 steps each, so lambda_t is (1 - 1/t) lambda_0 with t from 1 on."""
    training = smoke("optimus-ceae", **SHORT)
    assert training.clock().lead == 6 and training.clock().total == 18
    seen = []
    for _ in range(18):
        clock = training.clock()
        seen.append((clock.epoch, clock.share, training._lr_factor()))
        advance(training, 1)
    epochs, shares, rates = zip(*seen, strict=True)
    assert epochs == (1,) * 9 + (2,) * 3 + (3,) * 3 + (4,) * 3
    assert shares == pytest.approx([0.0] * 6 + [i / 12 for i in range(12)])
    assert rates == pytest.approx([1.0] * 6 + [min(1.0, 2.0 * (1 - i / 12)) for i in range(12)])
    weights = [row["weight_entropy"] for row in training.history]
    assert weights == pytest.approx([0.0, 6e-3 / 2, 6e-3 * 3 / 4])


def test_the_kl_counts_in_the_second_half(smoke, advance):
    training = advance(smoke("optimus", **SHORT | {"epochs": 5}), 30)          # 24 steps after the first 6
    assert [row["weight_free_bits"] for row in training.history] == pytest.approx([0, 0, 0, 4 * 17 / 24 - 2, 1.0])


@pytest.mark.parametrize("epochs", [3.0, 7.5])
def test_nothing_left_for_the_autoencoder_is_an_error(epochs: float, smoke):
    with pytest.raises(CeaeError, match="decoder_epochs: .* of 3 epochs leave nothing"):
        smoke("optimus", **SHORT | {"decoder_epochs": epochs})._one_step()


def test_an_lstm_cannot_do_without_its_code(smoke, moved):
    with pytest.raises(CeaeError, match="decoder_epochs: an LSTM decoder.*decoder_epochs=0"):
        smoke("optimus", net="lstm", **SHORT)._one_step()
    smoke("optimus", net="lstm", **SHORT | {"decoder_epochs": 0.0})._one_step()
    assert moved(smoke("optimus", net="transformer", **SHORT), 2) >= {"decoder.bias"}
