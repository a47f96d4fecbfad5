"""A stand-in for a judge, where there is neither a person nor a language model to ask: a critic with a stated rule.

It fills a sheet as they would, so that everything behind the answers can be run and checked.  What it prefers is what
its rule says and nothing else; it is never shown under another name than its own.
"""

import numpy as np

from ceae_core.critics.scores import Critic
from ceae_core.errors import CeaeError
from ceae_core.preference import prompt
from ceae_core.preference.answers import Answers
from ceae_core.preference.judge import Judged
from ceae_core.preference.sheet import Sheet
from ceae_core.seeding import derive

RULES = ("word", "sentence")          # -log p per word, the end counted as one, or of the whole sentence


def name(critic: Critic, rule: str) -> str:
    """How a table calls it."""
    return f"stand-in ({critic.name} critic, nats per {rule})"


def scores(sheet: Sheet, critic: Critic, rule: str = "word") -> np.ndarray:
    """(N, K) -log p of the candidate at each position, in nats per word or per sentence; lower is better.

    Raises CeaeError for another rule.
    """
    if rule not in RULES:
        raise CeaeError(f"rule: unknown value {rule!r}; choose {' or '.join(RULES)}")
    found = critic.score([tuple(text.split()) for item in sheet.items for text in item.texts])
    nats = found.nats / found.words if rule == "word" else found.nats
    return nats.reshape(len(sheet.items), -1)


def answers(sheet: Sheet, critic: Critic, rule: str = "word") -> Answers:
    """The candidate with the least -log p of every item; between equals a seeded coin decides, not the position."""
    nats = scores(sheet, critic, rule)
    coin = np.random.default_rng(derive(sheet.seed, "stand-in", sheet.id)).random(nats.shape)
    best = np.lexsort((coin, nats), axis=1)[:, 0]
    return Answers(sheet, (name(critic, rule),), best[None])


def crowd(sheet: Sheet, critic: Critic, raters: int, *, scale: float, hasty: float = 0.0, rule: str = "word",
          seed: int = 0) -> Answers:
    """Simulated raters that prefer what the critic prefers, but not always: see `_chosen`.

    They share the scores and nothing else.
    """
    rng = np.random.default_rng(derive(seed, "crowd", sheet.id))
    nats = np.broadcast_to(scores(sheet, critic, rule), (raters, len(sheet.items), len(sheet.models)))
    return Answers(sheet, tuple(f"simulated rater {i}" for i in range(1, raters + 1)), _chosen(nats, scale, hasty, rng))


def judged(sheet: Sheet, critic: Critic, variant: str, *, scale: float, hasty: float = 0.0, rule: str = "word",
           seed: int = 0) -> Judged:
    """A simulated judge with the same taste, asked in the orders of a variant of the prompt."""
    rng = np.random.default_rng(derive(seed, "judge", sheet.id, variant))
    orders = np.array([prompt.orders(item, variant) for item in sheet.items])                   # (N, O, K)
    nats = np.take_along_axis(scores(sheet, critic, rule)[:, None], orders, axis=2)             # as shown
    shown = _chosen(nats, scale, hasty, rng)                                                    # (N, O)
    places = np.take_along_axis(orders, shown[..., None], axis=2)[..., 0]
    choices = np.take_along_axis(sheet.orders, places, axis=1)
    return Judged(sheet, f"simulated judge ({variant})", shown.T, choices.T, ())


def _chosen(nats: np.ndarray, scale: float, hasty: float, rng: np.random.Generator) -> np.ndarray:
    """Positions chosen among -log p (..., K) with P = softmax(-nats / scale), Luce's rule (luce1959individual).

    `scale` is in nats; a share `hasty` of the answers takes what stands first without reading.
    """
    chosen = (rng.gumbel(size=nats.shape) - nats / scale).argmax(-1)
    chosen[rng.random(chosen.shape) < hasty] = 0
    return chosen
