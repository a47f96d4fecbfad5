"""Four sizes of every experiment: what `smoke`, `quick`, `laptop` and `paper` change in the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ceae_core.errors import CeaeError


@dataclass(frozen=True)
class Scale:
    """`sentences` limits the splits (None: all); `settings` and `options` replace defaults where a family has them,
    `families` those of one family, by its name, `nets` those of one kind of network."""

    summary: str
    sentences: Mapping[str, int] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    families: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


# DEVIATION(ceae:A.4): below `paper`, trainings are too short for SGD that is halved from epoch 15 on; they use Adam
# with a rate that falls to 0 over the second half, and random batches, whose statistics suit batch norm.
# DEVIATION(ceae:4.3): below `paper` the semi-amortised VAE takes one or two long steps instead of twenty and the
# aggressive encoder at most a few; above `smoke` both see the data half as often, for a step of theirs costs several.
SCALES: dict[str, Scale] = {
    "smoke": Scale(
        "seconds: do all parts work? Numbers mean nothing.",
        {"train": 1200, "valid": 200, "test": 200},
        dict(embedding=16, hidden=16, latent=4, epochs=2, batch_size=32, optimiser="adam", lr=5e-3, decay="half",
             dropout_in=0.0, dropout_out=0.0, init="wide", batching="random", iw_samples=10, iw_sentences=40,
             schedule_unit=0.25),
        dict(warmup_epochs=1.6, cycle_epochs=4.0, t_max=4, critic_hidden=32, critic_lr=1e-3, svi_steps=2, svi_lr=8.0,
             max_inner=3, check_every=1, pretrain_epochs=4.0),
        nets={"transformer": dict(layers=2, heads=2, inner=32, warmup_steps=20, dropout_layer=0.0),
              "pretrained": dict(layers=2, heads=2, inner=32, tuned=1, dropout_layer=0.0, batching="bucketed",
                                 precision="fp32")}),
    "quick": Scale(
        "half a minute of one core per family: effects show, digits wander.",
        {"train": 20_000, "valid": 2_000, "test": 2_000},
        dict(embedding=64, hidden=128, latent=32, epochs=4, batch_size=32, optimiser="adam", lr=5e-3, decay="half",
             dropout_in=0.0, dropout_out=0.0, init="wide", batching="random", iw_samples=100, iw_sentences=200,
             schedule_unit=0.5),
        dict(warmup_epochs=1.6, cycle_epochs=4.0, t_max=4, critic_hidden=128, critic_lr=1e-4, svi_steps=1, svi_lr=16.0,
             max_inner=3, check_every=1, pretrain_epochs=4.0, decoder_epochs=2.0),
        {"sa-vae": dict(epochs=2, schedule_unit=0.25), "agg-vae": dict(epochs=2, schedule_unit=0.25)},
        {"transformer": dict(embedding=64, hidden=64, layers=2, heads=4, inner=256, lr=2e-3, warmup_steps=200,
                             dropout_layer=0.0, precision="fp32"),
         "pretrained": dict(embedding=64, hidden=64, layers=2, heads=4, inner=256, epochs=3, schedule_unit=0.125,
                            lr=1e-3, tuned=2, batching="bucketed", precision="bf16", dropout_layer=0.0)}),
    "laptop": Scale(
        "about half an hour of one core per family on PTB: whole corpus, the papers' sizes, 8 epochs of Adam.",
        None,
        dict(embedding=256, hidden=256, latent=32, epochs=8, batch_size=32, optimiser="adam", lr=1e-3, decay="half",
             batching="random", iw_samples=100, iw_sentences=200),
        dict(warmup_epochs=2.0, cycle_epochs=4.0, t_max=3, svi_steps=1, svi_lr=16.0, max_inner=6, check_every=2,
             pretrain_epochs=3.0, decoder_epochs=2.0),
        {"sa-vae": dict(epochs=4, schedule_unit=0.5), "agg-vae": dict(epochs=4, schedule_unit=0.5)},
        {"transformer": dict(heads=8, inner=512, warmup_steps=1000, init="stack", dropout_in=0.3, dropout_out=0.3,
                             dropout_layer=0.1),
         "pretrained": dict(embedding=256, hidden=256, layers=4, heads=4, inner=1024, epochs=6, schedule_unit=0.25,
                            lr=2e-4, dropout_in=0.1, dropout_layer=0.1)}),
    "paper": Scale("the papers' own settings, as far as they are known.", None, dict(iw_samples=500)),
}
STACK_SETTINGS: dict[str, dict[str, Any]] = {   # what comes with a stack where nothing else is said
    # DEVIATION(clvm:4.1): optimiser, rate, batch size and epochs are not given; they are those of Implicit-LVM.
    "ivae": dict(optimiser="adam", lr=1e-3, decay="none", epochs=40, clip_scope="sides", vocabulary="ivae"),
}
IVAE_RATES = {"yahoo": 8e-4, "yelp": 8e-4}      # Implicit-LVM's learning rates on other corpora than PTB
PAPER_SIZES: dict[str, dict[str, int]] = {      # embedding and hidden size by corpus (bn-vae's configurations)
    "ptb": dict(embedding=256, hidden=256),
    "short-yelp": dict(embedding=128, hidden=512),
}


# DEVIATION(ceae:A.4): the transformer follows "the implementation of a small scale transformer for Penn Tree Bank as in
# Transformer-XL", whose settings these are, but for 6 + 6 instead of 16 layers.  Not taken over: dropout of whole words
# and of whole features, penalties on activations, averaged weights.  Its 32 latent units are those of the LSTMs.
TRANSFORMER: dict[str, Any] = dict(
    embedding=380, hidden=380, layers=6, heads=10, inner=900, dropout_in=0.6, dropout_out=0.5, dropout_layer=0.2,
    init="stack", optimiser="adam", lr=3e-4, warmup_steps=3000, decay="cosine", lr_end=1e-4, clip=0.25, epochs=40)


# DEVIATION(ceae:A.5): "the training procedure from the original paper" are these settings of its published scripts: one
# epoch, which follows the one of GPT-2 alone.  How CEAE's lambda_t and c_t go with a training of one epoch is not said;
# one pass over the data stands for 20 epochs of theirs.  Sizes are those of a decoder from scratch, GPT-2's own.
PRETRAINED: dict[str, Any] = dict(
    embedding=768, hidden=768, layers=12, heads=12, inner=3072, dropout_in=0.1, dropout_out=0.0, dropout_layer=0.1,
    init="stack", optimiser="adam", lr=5e-5, warmup_steps=0, decay="linear", clip=1.0, epochs=2, batch_size=20,
    batching="random", schedule_unit=0.05)


def net_settings(net: str, corpus: str) -> dict[str, Any]:
    """The settings that come with a kind of network on a corpus."""
    if net == "pretrained":
        return PRETRAINED
    if net != "transformer":
        return {}
    return TRANSFORMER | ({"epochs": 125} if corpus == "ptb" else {})


def stack_settings(stack: str, corpus: str) -> dict[str, Any]:
    """The settings that come with a stack on a corpus."""
    rate = {"lr": IVAE_RATES[corpus]} if stack == "ivae" and corpus in IVAE_RATES else {}
    return STACK_SETTINGS.get(stack, {}) | rate


def scale(name: str) -> Scale:
    """The scale called `name`.  Raises CeaeError that lists the names there are."""
    if name not in SCALES:
        raise CeaeError(f"scale: unknown value {name!r}; choose one of {', '.join(SCALES)}")
    return SCALES[name]
