"""The n-gram critic: a Kneser-Ney model, by KenLM's programs where they are installed, else by our own.

`lmplz` and our estimator agree to about 1e-3 of a nat per position (test: tests/critics/test_kneser_ney.py); scores by
the `kenlm` module and by our scorer agree to float32.  `settings` says which were used.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ceae_core.critics.kneser_ney import RESERVED, KneserNey, Positions
from ceae_core.critics.scores import Scores, Sentence
from ceae_core.errors import CeaeError, NotRun

UNK = RESERVED[0]
RENAMED = "_UNK_"           # what `<unk>` in a text is called: lmplz refuses the word, or drops it with --skip_symbols
LN10 = float(np.log(10))
UNSEEN = f"a word that the training text lacks has the probability of the model's {UNK} and counts in oov"
WRITTEN = {                 # what becomes of `<unk>` that a text has already
    "rename": f"{UNK} written in a text is an ordinary word, renamed {RENAMED}",
    "skip": f"{UNK} written in a text is left out of the training and unseen in what is scored (lmplz --skip_symbols)",
}


class NgramCritic:
    """A model of order `order` and what scores its positions."""

    name = "ngram"

    def __init__(self, positions: Callable[[Sequence[Sentence]], Positions], settings: dict[str, Any]) -> None:
        self._positions, self.settings = positions, settings

    @classmethod
    def fit(cls, sentences: Sequence[Sentence], *, order: int = 5, types: int = 0, unknown: str = "rename",
            count_end: bool = True, estimator: str = "auto", scorer: str = "auto",
            ) -> "NgramCritic":
        """A critic estimated from sentences.

        order     : longest n-gram
        types     : how many words the language has, if more than the text (see `KneserNey.fit`)
        unknown   : what becomes of `<unk>` that a text has already, see WRITTEN
        count_end : score and count the ends of sentences, too
        estimator : "lmplz", "numpy", or "auto": lmplz where it is on PATH with the kenlm module, and order > 1
        scorer    : "kenlm", "numpy", or "auto": kenlm where it is installed, and order > 1

        Raises NotRun for a tool asked for by name that is not here, CeaeError for bad text or a bad order.
        """
        scorer = _choose("scorer", scorer, "kenlm", find_spec("kenlm") is not None and order > 1)
        estimator = _choose("estimator", estimator, "lmplz", shutil.which("lmplz") is not None and scorer == "kenlm")
        if unknown not in WRITTEN:
            raise CeaeError(f"unknown: must be {' or '.join(WRITTEN)}, not {unknown!r}")
        text = _renamed(sentences) if unknown == "rename" else _without_unknown(sentences)
        used = {"order": order, "estimator": estimator, "scorer": scorer, "types": types, "count_end": count_end,
                "unknown": unknown, "unknown_words": f"{UNSEEN}; {WRITTEN[unknown]}", "trained_on": len(text)}
        if estimator == "lmplz":
            with _folder() as folder:
                arpa = _lmplz(text, order, types, folder)
                return cls(_kenlm(arpa), used)
        model = KneserNey.fit(text, order, types)
        used["discount_fallback"] = [n for n, found in enumerate(model.orders, 1) if found.is_fallback]
        if scorer == "numpy":
            return cls(model.positions, used)
        with _folder() as folder:
            model.write_arpa(folder / "model.arpa")
            return cls(_kenlm(folder / "model.arpa"), used)

    def score(self, sentences: Sequence[Sentence]) -> Scores:
        """-log p of each sentence, its end predicted from its words and, with `count_end`, counted."""
        is_renamed, n = self.settings["unknown"] == "rename", len(sentences)
        found = self._positions(_renamed(sentences) if is_renamed else sentences)
        kept = np.ones(len(found.nats), bool) if self.settings["count_end"] else ~found.is_end

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(found.sentence[kept], weights=values[kept].astype(float), minlength=n)[:n]
        positions, oov = (total(column).astype(int) for column in (np.ones(len(kept)), found.is_oov))
        return Scores(total(found.nats), positions, positions.copy(), oov, total(found.nats * found.is_oov))


def _choose(what: str, wanted: str, tool: str, is_here: bool) -> str:
    """The tool where it can be used, else numpy; as asked for, if it was."""
    if wanted not in ("auto", tool, "numpy"):
        raise CeaeError(f"{what}: unknown value {wanted!r}; choose auto, {tool} or numpy")
    if wanted == tool and not is_here:
        raise NotRun(f"{what} {tool}: it is not installed here, or cannot do this (lmplz needs the kenlm module, both "
                     "an order above 1); choose auto or numpy")
    return tool if is_here and wanted != "numpy" else "numpy"


def _renamed(sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    return [tuple(RENAMED if word == UNK else word for word in sentence) for sentence in sentences]


def _without_unknown(sentences: Sequence[Sentence]) -> list[tuple[str, ...]]:
    return [tuple(word for word in sentence if word != UNK) for sentence in sentences]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ceae-ngram-") as folder:
        yield Path(folder)


def _lmplz(text: Sequence[Sentence], order: int, types: int, folder: Path) -> Path:
    """The ARPA file that lmplz makes of a text."""
    if not text:
        raise CeaeError("n-gram model: there is no sentence to estimate it from")
    source, target = folder / "text", folder / "model.arpa"
    source.write_text("".join(" ".join(sentence) + "\n" for sentence in text), encoding="utf-8")
    command = ["lmplz", "-o", str(order), "--discount_fallback", "--text", str(source), "--arpa", str(target),
               "-T", str(folder / "sort"), "-S", "20%", *(["--vocab_pad", str(types + 2)] if types else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CeaeError(f"lmplz: exit status {done.returncode} ({said}); ask for the estimator numpy instead")
    return target


def _kenlm(arpa: Path) -> Callable[[Sequence[Sentence]], Positions]:
    """Score by the kenlm module, which reads the file now."""
    import kenlm
    quiet = kenlm.Config()
    quiet.show_progress, quiet.arpa_complain = False, kenlm.ARPALoadComplain.NONE
    model = kenlm.Model(str(arpa), quiet)

    def positions(sentences: Sequence[Sentence]) -> Positions:
        scored = [position for sentence in sentences for position in model.full_scores(" ".join(sentence))]
        length = np.array([len(sentence) + 1 for sentence in sentences], np.int64)
        is_end = np.zeros(len(scored), bool)
        is_end[np.cumsum(length) - 1] = True
        nats = np.array([log10 for log10, _, _ in scored], float) * -LN10
        return Positions(nats, np.repeat(np.arange(len(length)), length), is_end,
                         np.array([is_oov for _, _, is_oov in scored], bool))
    return positions
