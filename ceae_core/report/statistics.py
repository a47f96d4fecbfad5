"""What batch norm's two kinds of statistics do to a trained model."""

import torch

from ceae_core.corpora.batching import Encoded, plan
from ceae_core.errors import CeaeError
from ceae_core.runs import Run
from ceae_core.seeding import seeded


@torch.no_grad()
def rec_with_batch_statistics(run: Run, mode: str) -> float:
    """Rec of the test split, nats per sentence, each batch normalised by its own statistics as in training.

    `mode` says how the batches are formed (see `batching.plan`); single sentences, which have no variance, are left
    out.  Raises CeaeError for a family without batch norm.
    """
    model, spec = run.model(), run.spec
    norm = getattr(getattr(model.posterior, "norm", None), "batch", None)
    if norm is None:
        raise CeaeError(f"run {run.id}: {spec.family} has no batch norm")
    norm.train()
    norm.momentum = 0.0                     # the running statistics stay as they are
    data = Encoded(spec.load_corpus().splits["test"].sentences, run.vocabulary())
    total, count = 0.0, 0
    with seeded(spec.seed, "batch statistics"):
        for rows in plan(data.lengths, spec.settings.batch_size, mode, spec.seed, 0):
            if len(rows) > 1:
                x = data.batch(rows)
                total += float(model.nll(x, model.encode(x).z).sum())
                count += len(rows)
    return total / count
