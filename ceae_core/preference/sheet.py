"""A sheet: items that each hold one candidate of every model, in an order that is permuted and balanced."""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.preference.cells import fingerprint
from ceae_core.seeding import derive

FORMAT = 1                  # raise it when sheets of older versions cannot be read any more


@dataclass(frozen=True)
class Item:
    """One question: `order[p]` is the model behind position p, `texts[p]` its candidate."""

    number: int                     # counted from 1
    order: tuple[int, ...]
    texts: tuple[str, ...]

    def position(self, model: int) -> int:
        """Where the candidate of a model stands."""
        return self.order.index(model)


@dataclass(frozen=True)
class Sheet:
    """N items over K models.

    `runs` are the ids of the runs behind the models, None for other texts; `made` says how the texts were drawn.
    """

    models: tuple[str, ...]
    runs: tuple[str | None, ...]
    seed: int
    items: tuple[Item, ...]
    made: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Mapping[str, Sequence[str]], items: int, seed: int, *,
           runs: Mapping[str, str] | None = None, made: Mapping[str, Any] | None = None,
           allow_equal: bool = False) -> "Sheet":
        """A sheet from labelled texts; no text is used twice, no item holds two that are equal unless `allow_equal`.

        The texts of a model are taken in a random order.  Raises CeaeError for fewer than two models, and for texts
        that do not suffice.
        """
        if len(texts) < 2:
            raise CeaeError(f"sheet: a choice takes at least 2 models, not {len(texts)}; name more runs")
        if items < 1:
            raise CeaeError(f"items: must be at least 1, not {items}")
        models, rng = tuple(texts), np.random.default_rng(derive(seed, "sheet"))
        candidates = _assembled(texts, items, rng, allow_equal)
        orders = balanced_orders(items, len(models), rng)
        made_of = tuple(Item(number, order, tuple(row[model] for model in order))
                        for number, (order, row) in enumerate(zip(orders, candidates, strict=True), 1))
        return cls(models, tuple((runs or {}).get(model) for model in models), seed, made_of, dict(made or {}))

    @cached_property
    def id(self) -> str:
        return identify(self.key())

    def key(self) -> dict[str, Any]:
        """Which model is where, as plain values: what a rater must not see."""
        return {"format": FORMAT, "seed": self.seed, "made": dict(self.made),
                "models": [{"name": name, "run": run} for name, run in zip(self.models, self.runs, strict=True)],
                "items": [{"item": item.number, "order": list(item.order), "sha256": fingerprint(item.texts)}
                          for item in self.items]}

    @cached_property
    def orders(self) -> np.ndarray:
        """(N, K) the model at each position of each item."""
        return np.array([item.order for item in self.items])

    def positions(self) -> np.ndarray:
        """(K, K) how often each model (row) stands at each position (column)."""
        return np.array([[(self.orders[:, place] == model).sum() for place in range(len(self.models))]
                         for model in range(len(self.models))])

    def distinct(self) -> dict[str, int]:
        """Model -> number of its candidates that differ; a collapsed model repeats itself."""
        return {name: len({item.texts[item.position(model)] for item in self.items})
                for model, name in enumerate(self.models)}


def identify(key: Mapping[str, Any]) -> str:
    """An "s", so that no spreadsheet takes it for a number, and 12 digits of the sha256 of what a key holds.

    The texts enter by their fingerprints.
    """
    return "s" + hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def balanced_orders(items: int, models: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """An order of the models for every item; each model stands at each position equally often, up to one.

    Every block of K items is a Latin square: the K rotations of a random permutation, in random sequence.
    """
    orders: list[tuple[int, ...]] = []
    while len(orders) < items:
        first = rng.permutation(models)
        orders += [tuple(np.roll(first, shift).tolist()) for shift in rng.permutation(models)]
    return orders[:items]


def _assembled(texts: Mapping[str, Sequence[str]], items: int, rng: np.random.Generator,
               allow_equal: bool) -> list[list[str]]:
    """One candidate per model for each item; a candidate that equals another of its item waits for the next one."""
    waiting = {name: deque(given[i] for i in rng.permutation(len(given))) for name, given in texts.items()}
    rows = []
    for number in range(1, items + 1):
        row: list[str] = []
        for name, queue in waiting.items():
            place = next((i for i, text in enumerate(queue) if allow_equal or text not in row), None)
            if place is None:
                most = Counter(texts[name]).most_common(1)
                same = f"; {most[0][1]} of its texts are the same" if most and most[0][1] > 1 else ""
                raise CeaeError(f"sheet: the {len(texts[name])} texts of {name} do not suffice for {items} items in "
                                f"which all candidates differ (item {number}){same}; ask for fewer items, give more "
                                "or other texts, or allow equal ones")
            row.append(queue[place])
            del queue[place]
        rows.append(row)
    return rows
