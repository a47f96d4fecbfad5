"""Encoder + posterior + decoder: the one model behind every family."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ceae_core.errors import CeaeError
from ceae_core.models import transformer
from ceae_core.models.decoder import LSTMDecoder
from ceae_core.models.encoder import LSTMEncoder
from ceae_core.models.posteriors import Latent
from ceae_core.models.stacks import STACKS, initialise
from ceae_core.schedules import Clock

PAD = 0     # every vocabulary numbers its padding symbol 0


class TextAutoencoder(nn.Module):
    """A sentence autoencoder; without a posterior it is a language model.  Token ids x (B, T), padded with 0.

    The encoder maps (x, lengths) to sentence vectors (B, H); the decoder gives nats by `decoder(x, lengths, z)`, and
    one word at a time by `begin` and `step`, whose state has the sentences in its second dimension.

    `critics` are no part of it, but networks that estimate its divergence from the prior and are trained on their own.
    `refine(model, x, latent)` improves on what the encoder says of a batch, outside training steps at once.
    """

    def __init__(self, decoder: nn.Module, encoder: nn.Module | None = None, posterior: nn.Module | None = None,
                 critics: nn.Module | None = None, refine: Callable[..., Latent] | None = None) -> None:
        super().__init__()
        self.encoder, self.posterior, self.decoder, self.critics = encoder, posterior, decoder, critics
        self.refine = refine

    def sides(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The trainable weights of encoder and posterior, and those of the decoder."""
        parts = (self.encoder, self.posterior), (self.decoder,)
        return tuple([p for module in side if module is not None for p in module.parameters() if p.requires_grad]
                     for side in parts)

    def own_parameters(self) -> list[nn.Parameter]:
        """All of them."""
        return [p for side in self.sides() for p in side]

    @property
    def smallest_batch(self) -> int:
        """Rows that a training batch must have (batch norm needs two)."""
        return self.posterior.smallest_batch if self.posterior else 1

    def encode(self, x: torch.Tensor, clock: Clock | None = None) -> Latent | None:
        """x (B, T) -> Latent, computed in float32 from the sentence vector on; None for a language model."""
        if self.posterior is None:
            return None
        h = self.encoder(x, lengths(x))
        with torch.autocast(x.device.type, enabled=False):
            latent = self.posterior(h.float(), clock)
        return self.refine(self, x, latent) if self.refine and clock is None else latent

    def nll(self, x: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        """-log p(x|z), nats per sentence (B,)."""
        return self.decoder(x, lengths(x), z)


def lengths(x: torch.Tensor) -> torch.Tensor:
    """(B, T) -> (B,) number of real tokens, `<s>` and `</s>` included."""
    return (x != PAD).sum(1)


NETS = ("lstm", "transformer", "pretrained")


def build(posterior: Callable[..., nn.Module] | None, vocabulary_size: int, *, net: str = "lstm", stack: str = "bn",
          embedding: int = 512, hidden: int = 1024, latent: int = 32, layers: int = 6, heads: int = 10,
          inner: int = 900, encoder_dropout: float = 0.0, dropout_in: float = 0.5, dropout_out: float = 0.5,
          dropout_layer: float = 0.0, skip: bool = False, init: str = "stack",
          networks: tuple[nn.Module | None, nn.Module] | None = None,
          critics: Callable[..., nn.Module] | None = None,
          refine: Callable[..., Latent] | None = None) -> TextAutoencoder:
    """A freshly initialised model.  `posterior(hidden, latent, bias)` makes the posterior; None a language model.
    `critics(hidden, latent)` makes the critics, which keep PyTorch's initialisation.  `networks` are the encoder (None
    for a language model) and the decoder of `net="pretrained"`, for which no sizes are asked.

    Raises CeaeError for an unknown `net`, `stack` or `init`, and for what a transformer cannot be.
    """
    for name, value, known in (("net", net, NETS), ("stack", stack, tuple(STACKS))):
        if value not in known:
            raise CeaeError(f"{name}: unknown value {value!r}; choose one of {', '.join(known)}")
    wiring, code = STACKS[stack], latent if posterior else 0
    hidden = networks[0].width if networks and code else hidden
    head = partial(posterior, hidden, latent, wiring.head_bias) if posterior else lambda: None
    if networks:
        encoder, decoder = networks
        head = head()
        transformer.initialise(init, head)
    elif net == "transformer":
        transformer.check(embedding, hidden, heads, skip, init)
        sizes = {"width": hidden, "layers": layers, "heads": heads, "inner": inner, "dropout_layer": dropout_layer}
        decoder = transformer.TransformerDecoder(vocabulary_size, latent=code, dropout_in=dropout_in,
                                                 dropout_out=dropout_out, **sizes)
        encoder = transformer.TransformerEncoder(vocabulary_size, dropout=encoder_dropout, **sizes) if code else None
        head = head()
        transformer.initialise(init, encoder, head, decoder)
    else:
        decoder = LSTMDecoder(vocabulary_size, embedding, hidden, code, wiring, dropout_in=dropout_in,
                              dropout_out=dropout_out, skip=skip)
        encoder = LSTMEncoder(vocabulary_size, embedding, hidden, dropout=encoder_dropout) if code else None
        head = head()
        initialise(encoder, head, decoder, wiring, init)
    return TextAutoencoder(decoder, encoder, head, critics(hidden, latent) if critics else None, refine)
