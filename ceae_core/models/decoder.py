"""LSTM decoder: p(x|z), z concatenated to every input word and setting the initial state."""

import torch
from torch import nn

from ceae_core.models.output import sentence_nll
from ceae_core.models.stacks import Stack

State = tuple[torch.Tensor, torch.Tensor]


class LSTMDecoder(nn.Module):
    """One LSTM; `latent=0` makes it a language model, `skip` feeds z to the output layer too (dieng2019avoiding)."""

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, latent: int, stack: Stack, *,
                 dropout_in: float = 0.5, dropout_out: float = 0.5, skip: bool = False) -> None:
        super().__init__()
        self.hidden, self.latent, self.state, self.skip = hidden, latent, stack.state, skip
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.dropout_in, self.dropout_out = nn.Dropout(dropout_in), nn.Dropout(dropout_out)
        self.lstm = nn.LSTM(embedding + latent, hidden, batch_first=True)
        if latent:
            self.start = nn.Linear(latent, hidden, bias=stack.state == "hidden")
        self.output = nn.Linear(hidden + (latent if skip else 0), vocabulary_size, bias=stack.output_bias)

    def begin(self, batch: int, z: torch.Tensor | None) -> State:
        """Initial (h0, c0), each (1, B, H): see `Stack.state`; zeros without z."""
        if z is None:
            zeros = self.output.weight.new_zeros(1, batch, self.hidden)
            return zeros, zeros
        first = self.start(z).unsqueeze(0)
        return (torch.tanh(first), first) if self.state == "cell" else (first, torch.zeros_like(first))

    def run(self, tokens: torch.Tensor, z: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """tokens (B, T), z (B, Z) -> LSTM outputs (B, T, H), new state."""
        words = self.dropout_in(self.embedding(tokens))                                # (B, T, E)
        along = None if z is None else z.unsqueeze(1).expand(-1, tokens.size(1), -1)   # (B, T, Z)
        features, state = self.lstm(words if z is None else torch.cat([words, along], -1), state)
        return features, state

    def logits(self, features: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        """features (N, H), the z of each row (N, Z) -> (N, V) in float32."""
        features = self.dropout_out(features)
        return self.output(torch.cat([features, z], -1) if self.skip else features).float()

    def forward(self, x: torch.Tensor, lengths: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        """-log p(x|z) of each sentence, nats: x (B, T) with `<s> … </s>` and padding -> (B,), `</s>` counted."""
        features, _ = self.run(x[:, :-1], z, self.begin(len(x), z))                     # (B, T-1, H)
        return sentence_nll(features, x, lengths, lambda rows, row: self.logits(rows, z[row] if self.skip else None))

    def step(self, tokens: torch.Tensor, z: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
        """One word: tokens (B,) -> logits (B, V), new state."""
        features, state = self.run(tokens.unsqueeze(1), z, state)
        return self.logits(features.squeeze(1), z), state
