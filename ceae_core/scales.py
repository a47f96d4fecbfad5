"""Four sizes of every experiment: what `smoke`, `quick`, `laptop` and `paper` change in the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ceae_core.errors import CeaeError


@dataclass(frozen=True)
class Scale:
    """`sentences` limits the splits (None: all); `settings` and `options` replace defaults where a family has them."""

    summary: str
    sentences: Mapping[str, int] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


# DEVIATION(ceae:A.4): below `paper`, trainings are too short for SGD that is halved from epoch 15 on; they use Adam
# with a rate that falls to 0 over the second half, and random batches, whose statistics suit batch norm.
SCALES: dict[str, Scale] = {
    "smoke": Scale(
        "seconds: do all parts work? Numbers mean nothing.",
        {"train": 1200, "valid": 200, "test": 200},
        dict(embedding=16, hidden=16, latent=4, epochs=2, batch_size=32, optimiser="adam", lr=5e-3, decay="half",
             dropout_in=0.0, dropout_out=0.0, init="wide", batching="random", iw_samples=10, iw_sentences=40,
             schedule_unit=0.25),
        dict(warmup_epochs=1.6, cycle_epochs=4.0, t_max=4)),
    "quick": Scale(
        "half a minute of one core per family: effects show, digits wander.",
        {"train": 20_000, "valid": 2_000, "test": 2_000},
        dict(embedding=64, hidden=128, latent=32, epochs=4, batch_size=32, optimiser="adam", lr=5e-3, decay="half",
             dropout_in=0.0, dropout_out=0.0, init="wide", batching="random", iw_samples=100, iw_sentences=200,
             schedule_unit=0.5),
        dict(warmup_epochs=1.6, cycle_epochs=4.0, t_max=4)),
    "laptop": Scale(
        "about half an hour of one core per family on PTB: whole corpus, the papers' sizes, 8 epochs of Adam.",
        None,
        dict(embedding=256, hidden=256, latent=32, epochs=8, batch_size=32, optimiser="adam", lr=1e-3, decay="half",
             batching="random", iw_samples=100, iw_sentences=200),
        dict(warmup_epochs=2.0, cycle_epochs=4.0, t_max=3)),
    "paper": Scale("the papers' own settings, as far as they are known.", None, dict(iw_samples=500)),
}
PAPER_SIZES: dict[str, dict[str, int]] = {      # embedding and hidden size by corpus (bn-vae's configurations)
    "ptb": dict(embedding=256, hidden=256),
    "short-yelp": dict(embedding=128, hidden=512),
}


def scale(name: str) -> Scale:
    """The scale called `name`.  Raises CeaeError that lists the names there are."""
    if name not in SCALES:
        raise CeaeError(f"scale: unknown value {name!r}; choose one of {', '.join(SCALES)}")
    return SCALES[name]
