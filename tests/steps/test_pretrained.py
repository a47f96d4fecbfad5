"""Two trainings in one: what ends, what stays and what starts anew where the pre-training is over."""

import pytest
import torch

from ceae_core.errors import CeaeError
from ceae_core.schedules import Clock, warmup, warmup_after_pretraining

SHORT = {"epochs": 4, "batch_size": 200, "schedule_unit": 1.0, "pretrain_epochs": 2.0, "warmup_epochs": 1.0}   # 6 steps


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[bool]:
    return {torch.equal(value, b[name]) for name, value in a.items()}


def test_the_weight_is_nothing_and_then_the_ramp_from_its_beginning():
    for step in range(0, 400):
        clock = Clock(step, 10, 0.5)
        later = Clock(step - 150, 10, 0.5)          # 30 schedule epochs of 5 steps
        expected = 0.0 if step < 150 else warmup(later, kl_start=0.1, warmup_epochs=8.0)
        assert warmup_after_pretraining(clock, kl_start=0.1, warmup_epochs=8.0) == pytest.approx(expected)
    assert warmup_after_pretraining(Clock(0, 10), pretrain_epochs=0.0, kl_start=0.3) == 0.3


def test_it_is_an_autoencoder_first(smoke, advance):
    training = advance(smoke("ae+fb", **SHORT), 12)
    assert [row["train_loss"] == row["train_rec"] for row in training.history] == [True, True]
    assert training.best_epoch == -1 and "renewed" not in training.memory


def test_the_decoder_and_its_optimiser_start_anew_and_the_encoder_stays(smoke, advance, monkeypatch):
    training = advance(smoke("ae+fb", **SHORT), 12)
    start, seen = snapshot(smoke("ae+fb", **SHORT).model.decoder), {}
    before, encoder = snapshot(training.model.decoder), snapshot(training.model.encoder)
    posterior = snapshot(training.model.posterior)
    assert all(state["step"] == 12 for state in training.optimiser.state.values())
    descend = training.descend

    def watched(loss, move=None):
        seen["decoder"], seen["state"] = snapshot(training.model.decoder), dict(training.optimiser.state)
        assert same(encoder, training.model.encoder.state_dict()) == {True}
        assert same(posterior, training.model.posterior.state_dict()) == {True}
        descend(loss, move)
    with monkeypatch.context() as patch:
        patch.setattr(training, "descend", watched)
        advance(training, 1)
    assert seen["state"] == {}
    assert same(seen["decoder"], before) == {False} and same(seen["decoder"], start) == {False}
    again = advance(smoke("ae+fb", **SHORT), 12)
    again.renew_decoder()
    assert same(seen["decoder"], again.model.decoder.state_dict()) == {True}        # by the run's seed
    advance(training, 2)
    assert same(seen["decoder"], training.model.decoder.state_dict()) == {False} and training.memory == {"renewed": 2}
    assert all(state["step"] == 3 for state in training.optimiser.state.values())


def test_only_the_second_training_counts(smoke):
    training = smoke("ae+fb", **SHORT)
    training.run(lambda now: None)
    weights = [row["weight_free_bits"] for row in training.history]
    assert weights == pytest.approx([0.0, 0.0, 5 / 6, 1.0])             # of the last step of each epoch
    values = [row["valid_rec_nats_per_sentence"] + row["valid_kl_nats"] for row in training.history]
    assert training.best_epoch in (3, 4) and training.best_value == min(values[2:])


def test_epochs_without_a_decay_count_from_the_second_training(smoke):
    """With hopeless steps every judged epoch but the first is a bad one; decays wait for epoch 2 of the second part."""
    training = smoke("ae+fb", **SHORT | {"epochs": 8, "optimiser": "sgd", "lr": 1e-9, "decay": "plateau", "patience": 1,
                                         "first_decay": 2, "warmup_epochs": 0.0})
    training.best_value = 0.0                                           # nothing will be better
    training.run(lambda now: None)
    assert [row["lr"] / 1e-9 for row in training.history] == pytest.approx([1, 1, 1, 1, 1, 0.5, 0.25, 0.125])


def test_nothing_left_for_the_free_bits_is_an_error(smoke):
    for epochs in (4.0, 9.0):
        with pytest.raises(CeaeError, match="pretrain_epochs: .* of 4 schedule epochs"):
            smoke("ae+fb", **SHORT | {"pretrain_epochs": epochs})._one_step()
