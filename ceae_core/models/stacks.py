"""The two LSTM stacks of the literature as two sets of defaults, and how their weights start.

`bn`: bn-vae and its parent vae-lagging-encoder (paper A builds on it).  `ivae`: sa-vae and Implicit-LVM (paper B).
"""

from dataclasses import dataclass

import torch
from torch import nn

from ceae_core.errors import CeaeError


@dataclass(frozen=True)
class Stack:
    """How z enters the decoder, which layers have a bias, and the published initialisation."""

    head_bias: bool             # the linear head on the encoder's last state
    output_bias: bool           # the layer over the vocabulary
    state: str                  # "cell": c0 = Wz, h0 = tanh(c0);  "hidden": h0 = Wz + b, c0 = 0
    encoder_init: float | None  # weights from U(-a, a); None keeps PyTorch's defaults
    encoder_embedding: float | None
    decoder_init: float
    decoder_embedding: float


STACKS = {
    "bn": Stack(head_bias=False, output_bias=False, state="cell", encoder_init=None, encoder_embedding=None,
                decoder_init=0.01, decoder_embedding=0.1),
    "ivae": Stack(head_bias=True, output_bias=True, state="hidden", encoder_init=0.1, encoder_embedding=0.1,
                  decoder_init=0.1, decoder_embedding=0.1),
}
INITS = ("stack", "wide", "narrow")


@torch.no_grad()
def initialise(encoder: nn.Module | None, posterior: nn.Module | None, decoder: nn.Module, stack: Stack,
               init: str) -> None:
    """Draw the starting weights.

    `stack`: as the repository does.  `wide`: PyTorch's defaults, embeddings N(0, 1) in the encoder and N(0, 0.3^2) in
    the decoder, forget biases 1: for short trainings with Adam.  `narrow`: U(-0.01, 0.01), embeddings U(-0.1, 0.1) on
    both sides, as vae-lagging-encoder does; it shrinks the codes below batch norm's epsilon.
    """
    if init not in INITS:
        raise CeaeError(f"init: unknown value {init!r}; choose one of {', '.join(INITS)}")
    if init == "wide":
        for side, spread in ((encoder, 1.0), (decoder, 0.3)):
            if side is not None:
                nn.init.normal_(side.embedding.weight, std=spread)
                for layer in side.modules():
                    if isinstance(layer, nn.LSTM):      # gates are stored as input, forget, cell, output
                        layer.bias_ih_l0.chunk(4)[1].fill_(1.0)
        return
    narrow = init == "narrow"
    encoder_init, encoder_embedding = (0.01, 0.1) if narrow else (stack.encoder_init, stack.encoder_embedding)
    decoder_init, decoder_embedding = (0.01, 0.1) if narrow else (stack.decoder_init, stack.decoder_embedding)
    for module, spread in ((encoder, encoder_init), (posterior, encoder_init), (decoder, decoder_init)):
        if module is not None and spread is not None:
            for layer in module.modules():
                if not isinstance(layer, nn.BatchNorm1d):
                    for weight in layer.parameters(recurse=False):
                        nn.init.uniform_(weight, -spread, spread)
    for side, spread in ((encoder, encoder_embedding), (decoder, decoder_embedding)):
        if side is not None and spread is not None:
            nn.init.uniform_(side.embedding.weight, -spread, spread)
