"""The anchor of the LSTM critic: the perplexities of the critic itself, kept with the corpus they belong to."""

import math

import pytest

from ceae_core import corpora
from ceae_core.critics import lstm
from ceae_core.experiments import critic_anchor
from ceae_core.runs import Store


def test_it_is_what_the_critic_says(reviews, tmp_path):
    store = Store(tmp_path)
    content = critic_anchor.obtain(str(reviews), "smoke", store=store)
    loaded, found = corpora.load(str(reviews)), content["result"]
    assert content["parameters"] == {"corpus": str(reviews), "sha256": loaded.sha256, "scale": "smoke", "seed": 1}
    critic = lstm.train(loaded.splits["train"].sentences, loaded.vocabulary(), lstm.settings_at("smoke"), 1,
                        loaded.splits["valid"].sentences, device="cpu", store=store)
    for split in ("valid", "test"):
        text = loaded.splits[split].sentences
        stream, alone = critic.score_stream(text), critic.score(text)
        assert found["stream"][split]["ppl"] == pytest.approx(math.exp(stream.nats.sum() / stream.positions.sum()))
        assert found["sentences"][split]["ppl"] == pytest.approx(math.exp(alone.nats.sum() / alone.positions.sum()))
        assert found["stream"][split]["tokens"] == sum(len(sentence) + 1 for sentence in text)
    assert len(found["history"]) == found["settings"]["epochs"] and found["settings"]["id"] == critic.settings["id"]


def test_another_scale_is_another_result(reviews, tmp_path):
    ids = {critic_anchor.obtain(str(reviews), "smoke", seed, store=Store(tmp_path))["id"] for seed in (1, 2)}
    assert len(ids) == 2
