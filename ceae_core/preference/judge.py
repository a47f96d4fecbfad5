"""A language model fills a sheet: every question is asked once, whatever happens in between."""

import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.preference import prompt, shares
from ceae_core.preference.answerlog import AnswerLog
from ceae_core.preference.answers import NONE, Answers
from ceae_core.preference.client import REFUSED, NoReply, Reply
from ceae_core.preference.sheet import Item, Sheet
from ceae_core.progress import bar

LOG = "judge.jsonl"
GRACE = 10.0                # seconds that replies under way are waited for when the work is stopped
GIVE_UP = 5                 # questions in a row without a reply after which no more are asked


class Asks(Protocol):
    """What asks a model: `client.Client`, or a stand-in of a test."""

    endpoint: str
    model: str
    options: dict[str, Any]

    def ask(self, messages: Sequence[dict[str, str]], stop: threading.Event) -> Reply: ...


@dataclass(frozen=True)
class Question:
    """An item in one of its orders; `key` names all that the reply depends on."""

    item: Item
    order: tuple[int, ...]          # places of the sheet, as shown
    key: str

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self.item.texts[place] for place in self.order)

    @property
    def messages(self) -> list[dict[str, str]]:
        return prompt.messages(self.texts)


class Incomplete(Exception):
    """Some questions are without a reply; repeating the work asks them again."""


def questions(sheet: Sheet, variant: str, model: str, options: dict[str, Any]) -> list[Question]:
    """All questions of a variant; a question that two variants share has the same key in both."""
    made = []
    for item in sheet.items:
        for order in prompt.orders(item, variant):
            texts = [item.texts[place] for place in order]
            content = [sheet.id, item.number, order, prompt.messages(texts), model, options]
            made.append(Question(item, order, hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()))
    return made


def fill(folder: Path, sheet: Sheet, client: Asks, variant: str, *, concurrency: int = 4) -> int:
    """Ask what has no reply yet, at most `concurrency` questions at once; returns how many were asked.

    Every reply is on the disk before the next is taken.  KeyboardInterrupt passes after a moment for the replies under
    way.  Raises Incomplete when questions remain without a reply, CeaeError when the endpoint refuses.
    """
    log = AnswerLog(folder / LOG)
    with log.writing():
        todo = [q for q in questions(sheet, variant, client.model, client.options) if q.key not in log.entries]
        asked, failures, in_a_row = 0, [], 0
        with bar(len(todo), f"{client.model} on {sheet.id}") as shown:

            def take(question: Question, reply: Reply | NoReply) -> bool:
                """Keep a reply; whether to go on."""
                nonlocal asked, in_a_row
                shown.update(1)
                if isinstance(reply, Reply):
                    log.append(_entry(question, reply, client))
                    asked, in_a_row = asked + 1, 0
                    return True
                failures.append(f"item {question.item.number}: {reply}")
                in_a_row += 1
                if _is_hopeless(reply, has_replies=bool(log.entries)):
                    raise CeaeError(f"{client.endpoint} refuses, {reply}; replies so far are kept")
                return in_a_row < GIVE_UP

            _ask_all(todo, client, concurrency, take)
    if failures:
        raise Incomplete(f"{len(todo) - asked} of {len(todo)} questions have no reply ({failures[-1]})")
    return asked


def _is_hopeless(failure: NoReply, has_replies: bool) -> bool:
    """Whether a refusal is one of all questions: of the key or the address, or of the first question ever asked."""
    return failure.status is not None and (failure.status in REFUSED or not has_replies)


def _entry(question: Question, reply: Reply, client: Asks) -> dict[str, Any]:
    return {"key": question.key, "item": question.item.number, "order": question.order, "endpoint": client.endpoint,
            "asked": client.model, **asdict(reply)}


def _ask_all(todo: Sequence[Question], client: Asks, concurrency: int,
             take: Callable[[Question, Reply | NoReply], bool]) -> None:
    """Give every question with its reply to `take`, in this thread, until it says no.

    The threads that ask are daemons: nothing they do keeps the process from ending.  When `take` says no or raises, no
    new question is asked, and replies under way are still taken for GRACE seconds.
    """
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Question, Any]] = queue.SimpleQueue()
    stop = threading.Event()
    for question in todo:
        waiting.put(question)

    def work() -> None:
        while not stop.is_set():
            try:
                question = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((question, client.ask(question.messages, stop)))
            except Exception as error:                      # raised again in the thread that takes
                done.put((question, error))
                if isinstance(error, NoReply) and error.status in REFUSED:
                    stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(concurrency, len(todo)))]
    for thread in threads:
        thread.start()
    try:
        for _ in todo:
            question, result = done.get()
            if not isinstance(result, Reply | NoReply):
                raise result
            if not take(question, result):
                return
    finally:
        stop.set()
        until = time.monotonic() + GRACE
        while (any(thread.is_alive() for thread in threads) or not done.empty()) and time.monotonic() < until:
            try:
                question, result = done.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(result, Reply):
                take(question, result)


# what came of it -----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Judged:
    """The replies to a sheet in O orders: `positions` (O, N) as shown and `choices` (O, N) the models; NONE where a
    reply names no candidate.  `models` are the names under which the endpoint answered."""

    sheet: Sheet
    judge: str
    positions: np.ndarray
    choices: np.ndarray
    models: tuple[str, ...]

    def answers(self) -> Answers:
        """One rater with the choice of most orders for every item, open where no model has more than half of them."""
        orders = len(self.choices)
        positions = [next((item.position(model) for model in range(len(item.order))
                           if 2 * (column == model).sum() > orders), NONE)
                     for item, column in zip(self.sheet.items, self.choices.T, strict=True)]
        return Answers(self.sheet, (self.judge,), np.array([positions]))

    def order_effects(self) -> dict[str, Any]:
        """What became of the replies, and whether positions mattered.

        `consistent` is the share of items with the same choice in every order, None for a single one.  A judge who
        looks at the text alone chooses every position equally often, up to chance: the orders are balanced.
        """
        counts = np.bincount(self.positions[self.positions != NONE], minlength=len(self.sheet.models))
        test, p = shares.against_chance(counts) if counts.sum() else ("none", 1.0)
        same = (self.choices == self.choices[0]).all(0) & (self.choices[0] != NONE)
        return {"questions": int(self.positions.size), "unparsable": int((self.positions == NONE).sum()),
                "undecided_items": int((self.answers().positions == NONE).sum()),
                "consistent": float(same.mean()) if len(self.choices) > 1 else None,
                "positions": counts.tolist(), "test": test, "p": p}


def judged(folder: Path, sheet: Sheet, variant: str, model: str, options: dict[str, Any]) -> Judged:
    """What the log says.  Raises Incomplete while questions have no reply."""
    entries = AnswerLog(folder / LOG).entries
    asked = questions(sheet, variant, model, options)
    missing = sum(q.key not in entries for q in asked)
    if missing:
        raise Incomplete(f"{missing} of {len(asked)} questions have no reply")
    shape = (len(sheet.items), len(asked) // len(sheet.items))
    read = [prompt.parse(entries[q.key]["text"], q.texts) for q in asked]
    models = [NONE if place is None else q.item.order[q.order[place]] for q, place in zip(asked, read, strict=True)]
    positions = [NONE if place is None else place for place in read]
    named = dict.fromkeys(name for q in asked if (name := entries[q.key]["model"]))
    return Judged(sheet, f"{model} ({variant})", np.array(positions).reshape(shape).T,
                  np.array(models).reshape(shape).T, tuple(named))
