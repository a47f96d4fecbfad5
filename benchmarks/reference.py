"""What the speed is compared with: a text VAE computed the way iVAE, SA-VAE and BN-VAE compute it.

Plain modules in float32: logits and log-softmax over every position of the padded output, the loss summed over one
`NLLLoss` per position, separate clipping of encoder and decoder, PyTorch's default Adam.  Parameters carry the names
of `ceae_core.models.autoencoder.TextAutoencoder` (stack `bn`, Gaussian posterior), so weights can be copied.
"""

import torch
from torch import nn

PAD = 0


class Encoder(nn.Module):
    def __init__(self, vocabulary_size: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T) -> the output at the last real token (B, H)."""
        outputs, _ = self.lstm(self.embedding(x))
        return outputs[torch.arange(len(x)), (x != PAD).sum(1) - 1]


class Posterior(nn.Module):
    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.head = nn.Linear(hidden, 2 * latent, bias=False)

    def forward(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """h (B, H) -> mu, logvar (B, Z)."""
        return self.head(h).chunk(2, -1)


class Decoder(nn.Module):
    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.lstm = nn.LSTM(embedding + latent, hidden, batch_first=True)
        self.start = nn.Linear(latent, hidden, bias=False)
        self.output = nn.Linear(hidden, vocabulary_size, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """x (B, T) without the end symbol, z (B, Z) -> log p(next word) (B, T, V)."""
        words = self.dropout(self.embedding(x))
        cell = self.start(z).unsqueeze(0)
        inputs = torch.cat([words, z.unsqueeze(1).expand(-1, x.size(1), -1)], -1)
        outputs, _ = self.lstm(inputs, (torch.tanh(cell), cell))
        return torch.log_softmax(self.output(self.dropout(outputs)), -1)


class ReferenceVAE(nn.Module):
    """One training step is `step(x, kl_weight)`."""

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, latent: int, dropout: float, lr: float,
                 clip: float) -> None:
        super().__init__()
        self.encoder = Encoder(vocabulary_size, embedding, hidden)
        self.posterior = Posterior(hidden, latent)
        self.decoder = Decoder(vocabulary_size, embedding, hidden, latent, dropout)
        self.criterion = nn.NLLLoss(ignore_index=PAD, reduction="sum")
        self.optimiser, self.clip = torch.optim.Adam(self.parameters(), lr), clip

    def loss(self, x: torch.Tensor, kl_weight: float) -> torch.Tensor:
        """-ELBO in nats, the batch's mean: x (B, T) with `<s> … </s>` and padding."""
        mu, logvar = self.posterior(self.encoder(x))
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        predictions = self.decoder(x[:, :-1], z)
        nll = sum(self.criterion(predictions[:, t], x[:, t + 1]) for t in range(x.size(1) - 1))
        kl = 0.5 * (mu ** 2 + logvar.exp() - logvar - 1).sum()
        return (nll + kl_weight * kl) / len(x)

    def step(self, x: torch.Tensor, kl_weight: float) -> None:
        self.optimiser.zero_grad()
        self.loss(x, kl_weight).backward()
        nn.utils.clip_grad_norm_([*self.encoder.parameters(), *self.posterior.parameters()], self.clip)
        nn.utils.clip_grad_norm_(self.decoder.parameters(), self.clip)
        self.optimiser.step()
