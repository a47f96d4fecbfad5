"""Sentences side by side, the words that differ from the original marked."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from html import escape

from ceae_core import generate
from ceae_core.manifest import COMPLETE
from ceae_core.measure.words import edit_distance
from ceae_core.report.results import Result
from ceae_core.report.tables import Cell, Table
from ceae_core.runs import Run

Sentence = Sequence[str]


def marked(sentence: Sentence, original: Sentence) -> Cell:
    """`sentence` with the words that are not those of `original` at their place marked; an absent word is a caret."""
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, list(original), list(sentence), autojunk=False).get_opcodes():
        words = escape(" ".join(sentence[c:d]))
        if kind == "equal":
            parts.append(words)
        elif kind == "delete":
            parts.append(f'<mark class="ceae-gap" title="left out: {escape(" ".join(original[a:b]))}">‸</mark>')
        else:
            parts.append(f"<mark>{words}</mark>")
    return Cell(" ".join(sentence), html=" ".join(parts))


def reconstructions(runs: Sequence[Run], sentences: Sequence[Sentence], caption: str, name: str) -> Table:
    """Each sentence, and what every complete run's decoder makes of its code (greedy)."""
    texts = {Result.of(run).name: generate.reconstruct(run.model(), sentences, run.vocabulary())
             for run in runs if run.status == COMPLETE}
    rows = [{"sentence": " ".join(original), **{family: marked(made[i], original) for family, made in texts.items()}}
            for i, original in enumerate(sentences)]
    return Table(rows, caption, ["Marked: words that differ from the sentence; ‸ a word left out."], name)


def word_errors(runs: Sequence[Run], sentences: Sequence[Sentence]) -> dict[str, float]:
    """Word error rate of the greedy reconstructions of each run: words changed, added or lost per true word."""
    return {Result.of(run).name: sum(map(edit_distance, made, sentences)) / sum(map(len, sentences))
            for run in runs if run.status == COMPLETE
            for made in [generate.reconstruct(run.model(), sentences, run.vocabulary())]}


def side_by_side(texts: Mapping[str, Sequence[Sentence]], count: int, caption: str, name: str) -> Table:
    """The first `count` sentences of each text, one column each."""
    rows = [{"": i + 1, **{label: " ".join(sentences[i]) for label, sentences in texts.items()}} for i in range(count)]
    return Table(rows, caption, (), name)
