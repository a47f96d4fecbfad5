"""The LSTM critic where its recipe is known: a real corpus, scored as one stream, as the literature does."""

from typing import Any

from ceae_core import corpora, experiments
from ceae_core.critics import lstm
from ceae_core.critics.perplexity import summary
from ceae_core.runs import Store

NAME = "critic-anchor"


def anchor(*, corpus: str, sha256: str, scale: str, seed: int, data: str | None = None, store: Store | None = None,
           ) -> dict[str, Any]:
    """Perplexities of the critic of a training split: `stream` and `sentences` (each on its own) of both other splits,
    its `settings`, and the `history` of its training.

    `sha256` is that of the corpus; it is part of what the result depends on.
    """
    loaded = corpora.load(corpus, data)
    valid = loaded.splits["valid"].sentences
    critic = lstm.train(loaded.splits["train"].sentences, loaded.vocabulary(), lstm.settings_at(scale), seed, valid,
                        device="cpu", store=store)
    found = {split: loaded.splits[split].sentences for split in ("valid", "test")}
    return {"stream": {split: summary(critic.score_stream(text)) for split, text in found.items()},
            "sentences": {split: summary(critic.score(text)) for split, text in found.items()},
            "settings": critic.settings, "history": critic.history}


def obtain(corpus: str = "ptb", scale: str = "laptop", seed: int = 1, *, data: str | None = None,
           store: Store | None = None) -> dict[str, Any]:
    """The stored experiment of `anchor`: {"id", "parameters", "result", …}; half an hour of one core on PTB."""
    parameters = {"corpus": corpus, "sha256": corpora.load(corpus, data).sha256, "scale": scale, "seed": seed}
    return experiments.obtain(NAME, lambda **given: anchor(**given, data=data, store=store), parameters, store=store)
