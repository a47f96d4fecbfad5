"""A small critic of GPT-2's architecture, trained on the corpus from scratch: no substitute for the pretrained GPT-2.

It knows the words of the corpus (radford2019language has subwords) and nothing but the corpus.  As a second neural
critic beside the LSTM it shows what of a perplexity is the critic's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ceae_core import scales
from ceae_core.corpora import Vocabulary
from ceae_core.corpora.batching import plan
from ceae_core.critics import neural
from ceae_core.critics.scores import Sentence
from ceae_core.critics.text import Text
from ceae_core.errors import CeaeError, NotRun
from ceae_core.runs import Store

NAME = "gpt2-scratch"


@dataclass(frozen=True)
class Settings:
    """Sizes, and a training by AdamW whose rate rises, then falls to 0 as half a cosine (radford2018improving)."""

    layers: int = 4
    heads: int = 4
    hidden: int = 256               # also the size of the embeddings, which the output layer shares
    positions: int = 256            # of the longest sentence, its end symbol included
    dropout: float = 0.1
    batch_size: int = 32            # sentences of like length
    epochs: int = 10
    lr: float = 1e-3                # the highest
    warmup: float = 0.05            # share of the steps in which the rate rises
    weight_decay: float = 0.01      # of matrices
    clip: float = 1.0               # largest norm of the gradient
    precision: str = "auto"         # of the training: fp32, bf16 (autocast) or auto: what the hardware is best at
    threads: int = 1                # CPU threads; part of the identity, since sums depend on it

    def __post_init__(self) -> None:
        neural.check_positive(self, "layers", "heads", "hidden", "positions", "batch_size", "epochs", "lr", "clip",
                              "threads")
        if self.hidden % self.heads:
            raise CeaeError(f"critic: hidden must be a multiple of heads, {self.heads}, not {self.hidden}")
        object.__setattr__(self, "precision", neural.precision(self.precision))

    def rate(self, progress: float) -> float:
        """The learning rate after a share `progress` of all steps."""
        if progress < self.warmup:
            return self.lr * progress / self.warmup
        return self.lr * 0.5 * (1 + float(np.cos(np.pi * (progress - self.warmup) / (1 - self.warmup))))


AT_SCALE = {"smoke": dict(layers=1, heads=2, hidden=32, epochs=3, lr=1e-2, dropout=0.0),
            "quick": dict(layers=2, hidden=128, epochs=4, lr=3e-3, dropout=0.0)}


def settings_at(scale: str) -> Settings:
    """The settings at a scale.  Raises CeaeError for an unknown one."""
    scales.scale(scale)
    return Settings(**AT_SCALE.get(scale, {}))


class LanguageModel(nn.Module):
    """GPT-2's layers over the classes, its embeddings also the output layer."""

    def __init__(self, classes: int, settings: Settings) -> None:
        super().__init__()
        try:
            from transformers import GPT2Config, GPT2Model
        except ImportError as error:
            raise NotRun(f"critic {NAME} needs the package transformers ({error}); pip install transformers") from error
        self.body = GPT2Model(GPT2Config(
            vocab_size=classes, n_positions=settings.positions, n_embd=settings.hidden, n_layer=settings.layers,
            n_head=settings.heads, resid_pdrop=settings.dropout, embd_pdrop=settings.dropout,
            attn_pdrop=settings.dropout, bos_token_id=None, eos_token_id=None, use_cache=False))

    def nats(self, x: torch.Tensor, y: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """-log p of the `real` ones of y (B, T) after x (B, T): (R,).  Attention looks back only, never at padding."""
        if x.size(1) > self.body.config.n_positions:
            raise CeaeError(f"critic {NAME}: a sentence of {x.size(1) - 1} words is longer than its positions, "
                            f"{self.body.config.n_positions}; train it with more of them")
        features = self.body(x).last_hidden_state[real]                                 # (R, H)
        return F.cross_entropy((features @ self.body.wte.weight.T).float(), y[real], reduction="none")


class Course:
    """Sentences in batches of like length, AdamW, the mean over all positions of a batch."""

    def __init__(self, network: LanguageModel, text: Text, settings: Settings, seed: int) -> None:
        self.network, self.text, self.settings, self.seed = network, text, settings, seed
        self.steps_per_epoch = -(-len(text.lengths) // settings.batch_size)
        matrices = [weight for weight in network.parameters() if weight.dim() > 1]
        others = [weight for weight in network.parameters() if weight.dim() == 1]
        self.optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": settings.weight_decay},
                                            {"params": others, "weight_decay": 0.0}], settings.lr, fused=True)

    def epoch(self, number: int, tick: Callable[[], None]) -> dict[str, float]:
        """Each sentence once, in an order drawn from the seed and the epoch."""
        network, settings, text = self.network.train(), self.settings, self.text
        device, total = network.body.wte.weight.device, 0.0
        batches = plan(text.lengths, settings.batch_size, "bucketed", self.seed, number)
        for step, rows in enumerate(batches, number * len(batches)):
            for group in self.optimiser.param_groups:
                group["lr"] = settings.rate((step + 0.5) / (len(batches) * settings.epochs))
            place, real = text.places(rows)
            columns = (text.context[place], text.ids[place], real)
            x, y, mask = (torch.from_numpy(column).to(device) for column in columns)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
                nats = network.nats(x, y, mask)
            self.optimiser.zero_grad(set_to_none=True)
            nats.mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            self.optimiser.step()
            total += nats.detach().double().sum()
            tick()
        return {"lr": self.optimiser.param_groups[0]["lr"], "train_perplexity": float((total / len(text.ids)).exp())}

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def finish(self) -> None:
        """Nothing is left to do."""


RECIPE = neural.Recipe(NAME, 1, LanguageModel, Course, neural.sentence_nats)


def train(sentences: Sequence[Sentence], vocabulary: Vocabulary, settings: Settings | None = None, seed: int = 1,
          valid: Sequence[Sentence] | None = None, device: str = "auto", store: Store | None = None,
          ) -> neural.NetworkCritic:
    """The critic of these sentences, from the store or trained now; `vocabulary` and `valid` as for the LSTM critic.

    Raises NotRun where transformers is not installed, CeaeError for a sentence longer than `positions`.
    """
    trained = neural.train(RECIPE, sentences, vocabulary, settings or Settings(), seed, valid, device, store)
    return neural.NetworkCritic(RECIPE, trained)
