"""The LSTM critic: the small language model of zaremba2014recurrent, trained on a corpus or on a model's samples.

The paper's critic has two layers of size 200 and is trained by SGD (ceae, sec. A.2), as that model is.
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
from ceae_core.critics import neural
from ceae_core.critics.scores import Scores, Sentence
from ceae_core.critics.text import Text
from ceae_core.errors import CeaeError
from ceae_core.runs import Store

STREAM_BLOCK = 512          # positions after which the carried state of a stream is handed on
START_STEPS = 200           # positions of each piece of the training stream from which `start` is taken
State = tuple[torch.Tensor, torch.Tensor]


# DEVIATION(ceae:A.2): nothing else is said of the critic; start, batches, rates, clipping and epochs are those of the
# classic small model.
@dataclass(frozen=True)
class Settings:
    """The defaults are the small model's (zaremba2014recurrent, sec. 4.1)."""

    layers: int = 2
    hidden: int = 200               # also the size of the embeddings
    init: float = 0.1               # every weight from U(-init, init)
    batch_size: int = 20            # pieces of the stream side by side
    steps: int = 20                 # positions through which the gradient flows
    epochs: int = 13
    lr: float = 1.0
    constant_epochs: int = 4        # epochs before the rate falls
    decay: float = 0.5              # its factor in each further epoch
    clip: float = 5.0               # largest norm of the gradient
    precision: str = "auto"         # of the training: fp32, bf16 (autocast) or auto: what the hardware is best at
    threads: int = 1                # CPU threads; part of the identity, since sums depend on it

    def __post_init__(self) -> None:
        neural.check_positive(self, "layers", "hidden", "init", "batch_size", "steps", "epochs", "lr", "decay", "clip",
                              "threads")
        object.__setattr__(self, "precision", neural.precision(self.precision))

    def rate(self, epoch: int) -> float:
        """The learning rate of epoch 0, 1, …"""
        return self.lr * self.decay ** max(0, epoch + 1 - self.constant_epochs)


# DEVIATION(ceae:A.2): below `laptop` the critic is smaller, so that one can be trained on the samples of every family;
# it starts wider and takes more steps per epoch, since a small text leaves few of them.
AT_SCALE = {"smoke": dict(hidden=32, init=0.3, batch_size=5, epochs=4, constant_epochs=3),
            "quick": dict(hidden=64, init=0.3, batch_size=10, epochs=5, constant_epochs=3)}


def settings_at(scale: str) -> Settings:
    """The settings at a scale.  Raises CeaeError for an unknown one."""
    scales.scale(scale)
    return Settings(**AT_SCALE.get(scale, {}))


class LanguageModel(nn.Module):
    """Embedding, LSTM, softmax over the classes; everything has its own weights, drawn from U(-init, init).

    `start` is the state (2, L, 1, H) in which a sentence begins: zeros until the training has ended, then the mean of
    the states in which the sentences of the training stream ended.  From zeros, which no stream comes back to, the
    first words of a sentence would be judged by a network that has never been there.
    """

    def __init__(self, classes: int, settings: Settings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, settings.hidden)
        self.lstm = nn.LSTM(settings.hidden, settings.hidden, settings.layers)
        self.output = nn.Linear(settings.hidden, classes)
        for weight in self.parameters():
            nn.init.uniform_(weight, -settings.init, settings.init)
        self.register_buffer("start", torch.zeros(2, settings.layers, 1, settings.hidden))

    def begin(self, batch: int) -> State:
        """The state before the end symbol that precedes a text, each (L, B, H)."""
        h, c = self.start.expand(-1, -1, batch, -1).contiguous()
        return h, c

    def forward(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Ids x (T, B) -> LSTM outputs (T, B, H), new state."""
        return self.lstm(self.embedding(x), state)

    def nats(self, x: torch.Tensor, y: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """-log p of the `real` ones of y (B, T), each row the beginning of a stream: (R,)."""
        features, _ = self(x.T, self.begin(len(x)))
        return self.losses(features.transpose(0, 1)[real], y[real])

    def losses(self, features: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """-log p of y (N,) after LSTM outputs (N, H)."""
        return F.cross_entropy(self.output(features).float(), y, reduction="none")


def block_loss(network: LanguageModel, x: torch.Tensor, y: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
    """Nats of a block y (T, B) after x (T, B): summed over time, averaged over the batch, as the clip of 5 expects.

    The returned state carries values on, but no gradient (truncated backpropagation through time).
    """
    features, state = network(x, state)
    loss = network.losses(features.flatten(0, 1), y.flatten()).sum() / y.size(1)
    return loss, tuple(part.detach().float() for part in state)


class Course:
    """The stream of the text, cut into `batch_size` pieces of equal length; what is left over (< batch) is dropped."""

    def __init__(self, network: LanguageModel, text: Text, settings: Settings, seed: int) -> None:
        length = len(text.ids) // settings.batch_size
        if length < settings.steps:
            raise CeaeError(f"critic lstm: {len(text.ids)} positions of text are less than one block of "
                            f"{settings.batch_size} x {settings.steps}; give more sentences, or smaller settings")
        device = network.output.weight.device
        self.network, self.settings = network, settings
        self.inputs, self.targets = (
            torch.from_numpy(ids[:length * settings.batch_size]).to(device).view(settings.batch_size, -1).T.contiguous()
            for ids in (text.context, text.ids))                                        # (length, B)
        self.end, self.steps_per_epoch = text.end, -(-length // settings.steps)

    def epoch(self, number: int, tick: Callable[[], None]) -> dict[str, float]:
        """One pass over the stream from zeros on, SGD with the gradient clipped by its norm."""
        network, settings = self.network.train(), self.settings
        weights = list(network.parameters())
        optimiser = torch.optim.SGD(weights, settings.rate(number), fused=True)
        state, total = network.begin(settings.batch_size), torch.zeros((), device=self.targets.device)
        for x, y in zip(self.inputs.split(settings.steps), self.targets.split(settings.steps), strict=True):
            with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
                loss, state = block_loss(network, x, y, state)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, settings.clip)
            optimiser.step()
            total += loss.detach()
            tick()
        self.last = state
        return {"lr": settings.rate(number), "train_perplexity": float((total / len(self.targets)).exp())}

    def state(self) -> dict[str, Any]:
        """The weights: SGD remembers nothing, and each epoch starts from the zero state."""
        return self.network.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state)

    @torch.no_grad()
    def finish(self) -> None:
        """Give the network its `start`: the stream goes round once more, until enough sentences have ended."""
        state, total, count = self.last, torch.zeros_like(self.network.start), 0
        for x, y in zip(self.inputs[:START_STEPS], self.targets[:START_STEPS], strict=True):
            _, state = self.network(x.unsqueeze(0), state)                              # one position of each piece
            ended = y == self.end
            total += torch.stack(state)[:, :, ended].sum(2, keepdim=True)
            count += int(ended.sum())
        self.network.start.copy_(total / max(count, 1))


@torch.no_grad()
def stream_nats(network: LanguageModel, text: Text) -> np.ndarray:
    """-log p of each position (M,) of the text as one stream: the state goes on from sentence to sentence."""
    device, state, out = network.output.weight.device, network.begin(1), [np.empty(0)]
    x, y = (torch.from_numpy(ids).to(device) for ids in (text.context, text.ids))
    for block, targets in zip(x.split(STREAM_BLOCK), y.split(STREAM_BLOCK), strict=True):
        features, state = network(block.unsqueeze(1), state)
        out.append(network.losses(features.squeeze(1), targets).double().cpu().numpy())
    return np.concatenate(out)


RECIPE = neural.Recipe("lstm", 1, LanguageModel, Course, stream_nats)


class LstmCritic(neural.NetworkCritic):
    """A trained language model as a judge."""

    def score_stream(self, sentences: Sequence[Sentence]) -> Scores:
        """The sentences as one stream in their order: what the perplexities of the literature are measured on."""
        return self.scores(sentences, stream_nats)


def train(sentences: Sequence[Sentence], vocabulary: Vocabulary, settings: Settings | None = None, seed: int = 1,
          valid: Sequence[Sentence] | None = None, device: str = "auto", store: Store | None = None) -> LstmCritic:
    """The critic of these sentences, from the store or trained now.

    `vocabulary` decides what can be said at all: give that of the training split in both directions.  `valid` fills the
    history with the perplexity of its stream, and decides nothing.  Raises CeaeError for a text without a full block.
    """
    trained = neural.train(RECIPE, sentences, vocabulary, settings or Settings(), seed, valid, device, store)
    return LstmCritic(RECIPE, trained)
