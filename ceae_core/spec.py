"""What a run is: every choice that its numbers depend on, as canonical JSON, and the id that follows from it."""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ceae_core import checkpoints, corpora, scales, zoo
from ceae_core.errors import CeaeError
from ceae_core.hardware import best_precision
from ceae_core.schedules import capacity_noise

NUMERICS = 1        # raise it when a change of the code alters the numbers that a spec leads to


@dataclass(frozen=True)
class Settings:
    """Choices that every family shares; the defaults are paper A's (sec. A.2 to A.4) and those of bn-vae."""

    net: str = "lstm"               # encoder and decoder: lstm, transformer or pretrained
    stack: str = "bn"               # wiring and initialisation of the LSTMs: bn (paper A) or ivae (paper B)
    embedding: int = 512            # sizes of Yahoo and Yelp; `scales.PAPER_SIZES` has the other corpora
    hidden: int = 1024
    # DEVIATION(ceae:A.2): the paper's "latent 512" is bn-vae's embedding size; the rows it compares with have 32.
    latent: int = 32
    layers: int = 6                 # of a transformer's encoder, and of its decoder (as all that says transformer)
    heads: int = 10                 # of a transformer's attention
    inner: int = 900                # width of a transformer's dense layers
    dropout_layer: float = 0.0      # on attention and dense layers of a transformer
    encoder: str = "minilm"         # pretrained encoder: minilm, or name@digest of the weights (see `resolve`)
    decoder: str = "scratch"        # decoder beside it: name@digest, or scratch, a GPT-2 of the corpus's words
    tuned: int = 0                  # upper layers of the pretrained encoder that are trained; 0: all of it
    skip: bool = False              # z also enters the output layer
    encoder_dropout: float = 0.0
    dropout_in: float = 0.5         # on the decoder's word embeddings
    dropout_out: float = 0.5        # on the decoder's LSTM outputs
    init: str = "stack"             # stack, wide or narrow: see `models.stacks.initialise`
    optimiser: str = "sgd"          # sgd or adam
    lr: float = 0.5
    warmup_steps: int = 0           # steps over which the rate rises to lr
    decay: str = "plateau"          # plateau (bn-vae's rule), half (linear to 0 over the second half), linear, cosine
                                    # or none
    lr_end: float = 0.0             # where a cosine ends
    patience: int = 5               # epochs without improvement before a plateau decay
    first_decay: int = 15           # no decay before this epoch (counted from 0)
    max_decays: int = 5             # stop at this decay
    clip: float = 5.0               # largest norm of a gradient
    clip_scope: str = "joint"       # of the whole gradient (joint), or of encoder and decoder apart (sides)
    batch_size: int = 32
    batching: str = "same_length"   # same_length (the repositories'), bucketed or random
    epochs: int = 100
    schedule_unit: float = 1.0      # passes over the data that one epoch of a schedule stands for
    precision: str = "auto"         # fp32, bf16 (autocast) or auto: bf16 where the hardware has it
    threads: int = 1                # CPU threads; part of the identity, since sums depend on it
    iw_samples: int = 500           # S of the importance-weighted bound
    iw_sentences: int = 500         # test sentences on which that bound is taken
    iw_refine: int = 0              # gradient steps per sentence for a refined proposal of that bound; 0: none
    vocabulary: str = "bn"          # rule by which words get numbers: bn or ivae

    def __post_init__(self) -> None:
        check(asdict(self))


CHOICES = {
    "optimiser": ("sgd", "adam"), "decay": ("plateau", "half", "linear", "cosine", "none"),
    "precision": ("fp32", "bf16", "auto"), "clip_scope": ("joint", "sides"),
    "batching": ("same_length", "bucketed", "random"), "vocabulary": ("bn", "ivae"),
    "net": ("lstm", "transformer", "pretrained"), "stack": ("bn", "ivae"),
    "init": ("stack", "wide", "narrow"), "noise_head": ("linear", "mlp"), "contrast_on": ("z", "h"),
    "augment": ("dropout", "swap"), "encoder_sign": ("paper", "adversarial"), "rec_views": (1, 2)}
POSITIVE = ("embedding", "hidden", "latent", "layers", "heads", "inner", "lr", "clip", "batch_size", "epochs",
            "schedule_unit", "threads", "iw_samples", "iw_sentences", "cycle_epochs", "ramp_fraction", "temperature",
            "contrast_temperature", "critic_hidden", "critic_layers", "critic_lr", "clamp_exp", "delta", "kappa",
            "bandwidth", "norm_eps", "components", "neighbours", "svi_lr", "svi_clip", "check_every")
FRACTIONS = ("encoder_dropout", "dropout_in", "dropout_out", "dropout_layer", "momentum", "swap_probability",
             "kl_start", "svi_momentum")
NOT_NEGATIVE = (*FRACTIONS, "warmup_steps", "lr_end", "patience", "first_decay", "max_decays", "global_every",
                "cached_batches", "contrast", "square_weight", "inner_updates", "noise_size", "iw_refine", "mmd",
                "code_norm", "decoder_norm", "nearest", "svi_steps", "max_inner", "pretrain_epochs",
                "decoder_epochs", "dim_target", "tuned")


def check(values: Mapping[str, Any]) -> None:
    """CeaeError for the first setting or option outside the values it may take."""
    for name, value in values.items():
        if name in CHOICES and value not in CHOICES[name]:
            raise CeaeError(f"{name}: unknown value {value!r}; choose one of {', '.join(map(str, CHOICES[name]))}")
        if name in POSITIVE and value <= 0:
            raise CeaeError(f"{name}: must be positive, not {value!r}")
        if name in NOT_NEGATIVE and value < 0:
            raise CeaeError(f"{name}: must not be negative, it is {value!r}")
        if name in FRACTIONS and value > 1:
            raise CeaeError(f"{name}: must be at most 1, not {value!r}")


@dataclass(frozen=True)
class RunSpec:
    """One run.  `source` says how this machine loads the corpus; it is not part of the identity, the hash is."""

    family: str
    corpus: str
    corpus_sha256: str
    scale: str
    seed: int
    settings: Settings
    options: Mapping[str, Any]
    numerics: int = NUMERICS
    source: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check(self.options)

    def identity(self) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        return {name: value for name, value in asdict(self).items() if name != "source"}

    def canonical(self) -> str:
        """The identity without the settings and options that have their defaults, as JSON in one fixed form.

        So a setting added later, whose default is what was done before, leaves the ids of older runs as they are.
        Changing a default is a change of numbers: raise NUMERICS.
        """
        content, defaults = self.identity(), asdict(Settings())
        content["settings"] = {k: v for k, v in content["settings"].items() if v != defaults[k]}
        defaults = zoo.family(self.family).signature_defaults()
        content["options"] = {k: v for k, v in self.options.items() if k not in defaults or v != defaults[k]}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        """Readable prefix and 12 digits of the sha256 of the canonical JSON; the name of the run's folder."""
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()[:12]
        corpus = re.sub(r"[^a-z0-9]+", "-", self.corpus.lower()).strip("-") or "text"
        return f"{self.family}-{corpus[:40]}-{self.scale}-s{self.seed}-{digest}"

    def to_json(self) -> str:
        return json.dumps({**self.identity(), "source": dict(self.source)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        """Raises CeaeError when a field is missing, unknown or invalid."""
        try:
            content = json.loads(text)
            return cls(**content | {"settings": Settings(**content["settings"])})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise CeaeError(f"spec.json: not a run specification of this version ({error}); remove the run") from error

    def moved_to(self, folder: Path | str) -> "RunSpec":
        """The same run, the files of its corpus looked for in `folder` under the names they had."""
        folder, source = Path(folder), dict(self.source)
        for split in source.keys() & {"train", "valid", "test"}:
            source[split] = str(folder / Path(source[split]).name)
        if "train" not in source and source["corpus"] not in corpora.table.CORPORA:
            inside = folder / Path(source["corpus"]).name
            return replace(self, source=source | {"corpus": str(inside if inside.exists() else folder)})
        return replace(self, source=source if "train" in source else source | {"data": str(folder)})

    def load_corpus(self) -> corpora.Corpus:
        """The corpus, checked against the hash in the spec."""
        limit = scales.scale(self.scale).sentences
        loaded = corpora.load(self.corpus if "corpus" not in self.source else self.source["corpus"], limit=limit,
                              **{k: v for k, v in self.source.items() if k not in ("corpus", *checkpoints.KINDS)})
        if loaded.sha256 != self.corpus_sha256:
            raise CeaeError(f"corpus {self.corpus}: its content has changed since the run was specified (sha256 "
                            f"{loaded.sha256[:12]}, not {self.corpus_sha256[:12]}); specify the run again")
        return loaded


def resolve(family: str, corpus: str = "oracle", scale: str = "quick", seed: int = 1, *,
            set: Mapping[str, Any] | None = None, **source: Any) -> RunSpec:
    """The spec of a run.  Later wins: defaults, the stack's, the corpus's sizes, the family's row, the transformer's,
    the scale, `set`.

    `source` goes to `corpora.load`: data, train, valid, test.  Raises CeaeError for unknown names and invalid values.
    """
    row, size = zoo.family(family), scales.scale(scale)
    source = {k: str(Path(v).expanduser().absolute()) for k, v in source.items() if v is not None}
    loaded = corpora.load(corpus, limit=size.sentences, **source)
    if corpus not in corpora.table.CORPORA and "train" not in source:
        corpus = Path(corpus).expanduser().absolute()
    stack, net = ((set or {}).get(name, row.settings.get(name, getattr(Settings, name))) for name in ("stack", "net"))
    settings = (asdict(Settings()) | scales.stack_settings(stack, loaded.name) | scales.PAPER_SIZES.get(loaded.name, {})
                | dict(row.settings) | scales.net_settings(net, loaded.name) | dict(size.settings)
                | dict(size.families.get(family, {})) | dict(size.nets.get(net, {})))
    options = row.defaults()
    options |= {k: v for k, v in size.options.items() if k in options}
    for name, value in (set or {}).items():
        target = options if name in options else settings
        if name not in target:
            known = sorted({*options, *settings})
            near = difflib.get_close_matches(name, known, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}"
            raise CeaeError(f"{family} has no option {name!r}; {hint}")
        nullable = name in options and row.signature_defaults()[name] is None
        target[name] = parse(name, value, target[name], nullable=nullable)
    if settings["precision"] == "auto":
        settings["precision"] = best_precision()
    places = _checkpoints(settings)
    resolved = Settings(**settings)
    if "c0" in options and options["c0"] is None:
        lengths = [len(s) for s in loaded.splits["train"].sentences]
        options["c0"] = round(capacity_noise(lengths, resolved.latent), 6)
    return RunSpec(family, loaded.name, loaded.sha256, scale, int(seed), resolved, options,
                   source={"corpus": str(corpus), **source, **places})


def _checkpoints(settings: dict[str, Any]) -> dict[str, str]:
    """Put identities in the place of the checkpoints that `settings` ask for; where those are, by name of the setting.

    Raises CeaeError when another kind of network is asked for.
    """
    places = {}
    for side in checkpoints.KINDS:
        asked = settings[side]
        if settings["net"] != "pretrained" and asked != getattr(Settings, side):
            raise CeaeError(f"{side}: {asked!r} is a pretrained network; set net=pretrained, too")
        settings[side], place = checkpoints.identify(side, asked)
        places |= {side: place} if place else {}
    return places


def parse(name: str, value: Any, default: Any, *, nullable: bool = False) -> Any:
    """`value` (often text from the command line) as the type of `default`, a number where that is None.

    None, "none" and "auto" mean None where it is allowed.  CeaeError for anything that is not of that type.
    """
    if nullable and (value is None or str(value).lower() in ("none", "auto")):
        return None
    kind: type = float if default is None else type(default)
    text = str(value)
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if kind is str:
            return text
        number = float(text)
        if not math.isfinite(number) or kind is int and number != int(number):
            raise ValueError
        return kind(number)
    except (KeyError, ValueError) as error:
        wanted = {bool: "true or false", int: "a whole number", float: "a finite number"}[kind]
        raise CeaeError(f"{name}: {text!r} is not {wanted}") from error
