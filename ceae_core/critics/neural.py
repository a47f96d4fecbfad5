"""What critics that are networks share: the epochs of a training, the files it leaves, and the way back from them."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import safetensors.torch
import torch
from torch import nn

from ceae_core.corpora import Vocabulary
from ceae_core.critics import cache
from ceae_core.critics.scores import Scores, Sentence
from ceae_core.critics.text import UNKNOWN, Classes, Text, sha256
from ceae_core.errors import CeaeError
from ceae_core.hardware import best_precision, choose_device, cpu_threads, environment
from ceae_core.progress import bar
from ceae_core.runs import Store
from ceae_core.seeding import seeded

TOKENS_AT_ONCE = 2048       # positions of a batch of sentences that are scored together
CHECKPOINT_SECONDS = 20.0   # checkpoints are taken between epochs that lie so far apart
WEIGHTS, RECORD = "model.safetensors", "record.json"


class Course(Protocol):
    """A training: what happens in an epoch, and what it must remember from one to the next."""

    steps_per_epoch: int

    def epoch(self, number: int, tick: Callable[[], None]) -> dict[str, float]:
        """Epoch `number` = 0, 1, …; `tick()` after each of its steps.  What is to stand in the history."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def finish(self) -> None:
        """What remains to be done after the last epoch."""
        ...


@dataclass(frozen=True)
class Recipe:
    """How networks of one kind are built and trained; `name` is that of the critic."""

    name: str
    version: int                # raise it when a change of the code alters the critic that settings lead to
    build: Callable[[int, Any], nn.Module]                  # its network: number of classes, settings
    course: Callable[[nn.Module, Text, Any, int], Course]   # its training: network, text, settings, seed
    judge: Callable[[nn.Module, Text], np.ndarray]          # nats of each position of another text, for the history


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode, the `settings` that a critic shows, and a row per epoch."""

    network: nn.Module
    classes: Classes
    settings: dict[str, Any]
    history: list[dict[str, float]]


@torch.no_grad()
def sentence_nats(network: nn.Module, text: Text) -> np.ndarray:
    """-log p of each position (M,), each sentence on its own; the network has `nats(x, y, real)` for ids (B, T)."""
    device, nats = next(network.parameters()).device, np.empty(len(text.ids))
    for place, real in text.batches(TOKENS_AT_ONCE):
        x, y = (torch.from_numpy(ids[place]).to(device) for ids in (text.context, text.ids))
        nats[place[real]] = network.nats(x, y, torch.from_numpy(real).to(device)).double().cpu().numpy()
    return nats


class NetworkCritic:
    """A trained network as a judge; `history` has a row per epoch."""

    def __init__(self, recipe: Recipe, trained: Trained) -> None:
        self.name, self.trained = recipe.name, trained
        self.settings, self.history = trained.settings, trained.history

    def score(self, sentences: Sequence[Sentence]) -> Scores:
        """Each sentence on its own, after an end symbol."""
        return self.scores(sentences, sentence_nats)

    def scores(self, sentences: Sequence[Sentence], judge: Callable[[nn.Module, Text], np.ndarray]) -> Scores:
        """The nats that `judge` gives to each position, by sentence."""
        text = self.trained.classes.encode(sentences)
        with cpu_threads(self.settings["threads"]):
            return text.scores(judge(self.trained.network, text) if sentences else np.empty(0))


def check_positive(settings: Any, *names: str) -> None:
    """CeaeError for the first of the settings that is not above 0."""
    for name in names:
        if not getattr(settings, name) > 0:
            raise CeaeError(f"critic: {name} must be positive, not {getattr(settings, name)!r}")


def precision(asked: str) -> str:
    """fp32 or bf16, where `auto` takes what the hardware is best at.  Raises CeaeError for another value."""
    if asked not in ("fp32", "bf16", "auto"):
        raise CeaeError(f"critic: precision: unknown value {asked!r}; choose one of fp32, bf16, auto")
    return best_precision() if asked == "auto" else asked


def train(recipe: Recipe, sentences: Sequence[Sentence], vocabulary: Vocabulary, settings: Any, seed: int,
          valid: Sequence[Sentence] | None, device: str, store: Store | None) -> Trained:
    """The network of the recipe for the sentences, from the store or trained now; `valid` only fills the history.

    `settings` is a dataclass with `epochs` and `threads`.  Raises CeaeError when there is no sentence, or when a loss
    is no number any more.
    """
    if not sentences:
        raise CeaeError(f"critic {recipe.name}: there is no sentence to train on; give at least one")
    device, classes = choose_device(device), Classes(vocabulary, sentences)
    text = classes.encode(sentences)
    parameters = {"settings": asdict(settings), "seed": seed, "text": sha256(sentences),
                  "vocabulary": hashlib.sha256(vocabulary.to_json().encode()).hexdigest(),
                  "valid": sha256(valid) if valid else None}

    def built() -> nn.Module:
        with seeded(seed, "critic", recipe.name):
            return recipe.build(classes.size, settings).to(device)

    def judge(network: nn.Module) -> dict[str, float]:
        if not valid:
            return {}
        text = classes.encode(valid)
        return {"valid_perplexity": text.scores(recipe.judge(network.eval(), text)).perplexity()}

    def fit(fitting: cache.Fitting) -> dict[str, bytes | str]:
        network = built()
        with cpu_threads(settings.threads):
            course = recipe.course(network, text, settings, seed)
            history = _epochs(recipe.name, course, settings.epochs, seed, fitting, device, partial(judge, network))
        record = {"history": history, "environment": environment(device)}
        weights = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
        return {WEIGHTS: safetensors.torch.save(weights), RECORD: json.dumps(record, indent=2) + "\n"}

    folder = cache.obtain(recipe.name, recipe.version, parameters, (WEIGHTS, RECORD), fit, store)
    network = built().eval()
    network.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    shown = {"id": folder.name, **asdict(settings), "seed": seed, "sentences": len(sentences),
             "vocabulary": len(vocabulary), "classes": classes.size, "unknown": UNKNOWN, "end": "predicted and counted"}
    return Trained(network, classes, shown, json.loads((folder / RECORD).read_text(encoding="utf-8"))["history"])


def _epochs(name: str, course: Course, epochs: int, seed: int, fitting: cache.Fitting, device: torch.device,
            judge: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    """Train from the last checkpoint to the end; a row of the history per epoch.

    What an epoch draws depends on the seed and its number alone, so a training that goes on repeats the whole one.
    """
    history: list[dict[str, float]] = []
    if state := fitting.load(device):
        course.restore(state["course"])
        history = state["history"]
    with bar(course.steps_per_epoch * epochs, f"critic {name}", course.steps_per_epoch * len(history)) as shown:
        saved = time.monotonic()
        for number in range(len(history), epochs):
            with seeded(seed, "critic", name, number):
                row = {"epoch": number + 1, **course.epoch(number, lambda: shown.update(1))}
            row |= judge()
            if not all(map(math.isfinite, row.values())):
                raise CeaeError(f"critic {name}: the loss is not finite in epoch {number + 1}; lower lr")
            history.append(row)
            if time.monotonic() - saved > CHECKPOINT_SECONDS and number + 1 < epochs:
                fitting.save({"course": course.state(), "history": history}, number + 1)
                saved = time.monotonic()
    course.finish()
    return history
