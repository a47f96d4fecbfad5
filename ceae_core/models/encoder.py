"""LSTM sentence encoder."""

import torch
from torch import nn


class LSTMEncoder(nn.Module):
    """One unidirectional LSTM over `<s> … </s>`; the sentence is its output at the last real token."""

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x (B, T) token ids, lengths (B,) real tokens of each row -> h (B, H)."""
        outputs, _ = self.lstm(self.dropout(self.embedding(x)))                         # (B, T, H)
        last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, outputs.size(-1))
        return self.dropout(outputs.gather(1, last).squeeze(1))                         # (B, H)
