"""Interpolated sentences on a page: beside those of the papers, and as rates and curves over many lines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ceae_core.errors import CeaeError
from ceae_core.report import intervals, published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.lines import (
    ALIKE,
    MIXED,
    NEUTRAL,
    DecodedLine,
    Lines,
    Mean,
    agreeing,
    course,
    is_neutral,
    neutral,
    neutral_sources,
    of_its_kind,
    right_sources,
    rising,
)
from ceae_core.report.tables import Cell, Download, Table

SCORERS = ("code", "text", "truth")
INTERVALS_NOTE = (f"In brackets: {intervals.LEVEL:.0%} bootstrap interval of the mean over lines (tooltip: how many).")
SCORES_NOTE = ("Scores are probabilities of a positive review. Code: by the small MLP on codes, of the mixed code. "
               "Text: by logistic regression on words, of the decoded sentence. Truth: by the grammar, where it can "
               "produce the sentence.")
NEUTRAL_NOTE = (f"Neutral: a score from {0.5 - NEUTRAL:g} to {0.5 + NEUTRAL:g}, at the weights of the CEAE paper or at "
                "λ = 0.5. Originals: the reviews of the corpus themselves.")
LONGEST = 30                # words of a sentence that are shown
Measure = Callable[[DecodedLine], float | None]
Columns = Mapping[str, tuple[Measure, tuple[str, ...]]]         # header -> measure, kinds of lines


def named(found: Sequence[Lines], name: str) -> Lines:
    """The lines of one family.  Raises CeaeError that lists those there are."""
    for each in found:
        if each.name == name:
            return each
    raise CeaeError(f"interpolation: there is no {name!r}; choose from {', '.join(each.name for each in found)}")


# the papers' examples beside ours ------------------------------------------------------------------------------------

def beside_first(found: Lines, caption: str, name: str) -> Table:
    """The first paper's Table 6, and the first line of each kind of one family of ours at the same weights.

    Raises CeaeError for a corpus without labels of sentiment.
    """
    if not found.is_labelled:
        raise CeaeError(f"interpolation: {found.name} has no pairs by sentiment to stand beside the first paper's; "
                        "choose a corpus with labels of sentiment")
    frame = published.sentences("ceae")
    rows = []
    for kind, group in frame.groupby("pair", sort=False):
        line = found.of(kind)[0]
        for row in group.itertuples():
            is_source = row.type == "source"
            place = int(np.abs(line.weights - row.weight_on_first_source).argmin())
            ours = {by: line.score(by)[place] for by in ("code", "text")}
            text = line.content["sentences"][place]
            if is_source:
                which = int(row.weight_on_first_source == 0)        # the first sentence or the second
                text, ours["text"] = line.content[("first", "second")[which]], line.source_scores("text")[which]
            rows.append({"pair": kind, "weight on the first": row.weight_on_first_source,
                         "published | sentence": Cell(row.text, strong=is_source, title=row.type),
                         "published | score": row.score,
                         f"{found.name} | sentence": Cell(text, strong=is_source, title=row.type),
                         f"{found.name} | score of the code": ours["code"],
                         f"{found.name} | score of the text": ours["text"]})
    return Table(rows, caption, [f"Published: {published.CITATIONS['ceae']}, Table 6. Bold: sources, as they stand in "
                                 "the corpus.", SCORES_NOTE], name, digits={"weight on the first": 1})


def beside_second(found: Sequence[Lines], index: int, caption: str, name: str) -> Table:
    """The second paper's Table 6, and line `index` of each of `found` at the same λ."""
    frame = published.sentences("clvm").set_index("lambda")
    line = found[0].lines[index]
    group = line.kind if line.kind in (MIXED, *ALIKE) else "two sentences"
    rows = [{"λ": float(weight), "published | PTB": frame["text"].get(round(float(weight), 6)),
             **{f"{group} | {each.name}": _short(each.lines[index].content["sentences"][place]) for each in found}}
            for place, weight in enumerate(line.weights)]
    which = (f", here “{line.content['first']}”; λ = 0 is the second, “{line.content['second']}”."
             if line.content["first"] else "; the sentences themselves are not part of this project.")
    return Table(rows, caption, [f"Published: {published.CITATIONS['clvm']}, Table 6. λ is the weight of the first "
                                 f"sentence{which}"], name, digits={"λ": 1})


def _short(sentence: str) -> Cell:
    """A sentence, its end left out where it is so long that no corpus of sentences has it."""
    words = sentence.split()
    text = " ".join(words[:LONGEST])
    return Cell(sentence, f"{text} … ({len(words)} words)" if len(words) > LONGEST else text or "(empty)")


# rates over many lines -----------------------------------------------------------------------------------------------

def _in_words(name: str) -> Measure:
    return lambda line: getattr(line.course, name)


def smooth_columns() -> Columns:
    """What happens to the words along a line, and how much of the sources is in its ends."""
    return {"ends | word errors": (_in_words("word_errors"), ()),
            "ends | words apart": (_in_words("ends"), ()),
            "steps | way gone, over distance": (_in_words("detour"), ()),
            "steps | largest, over distance": (_in_words("largest"), ()),
            "steps | share that are jumps": (_in_words("jumps"), ()),
            "steps | share without change": (_in_words("still"), ()),
            "line | different sentences": (_in_words("distinct"), ())}


def fluency_columns(found: Sequence[Lines]) -> Columns:
    """What a critic says of the ends and of what lies between them; with a grammar, whether it can produce it."""
    unit = f"{found[0].critic['name']} critic (nats per word)"
    columns: dict[str, tuple[Measure, tuple[str, ...]]] = {
        f"{unit} | ends": (lambda line: line.nats_per_word(False), ()),
        f"{unit} | between": (lambda line: line.nats_per_word(True), ()),
        f"{unit} | difference": (lambda line: line.nats_per_word(True) - line.nats_per_word(False), ())}
    if any(line.grammatical(True) is not None for each in found for line in each):
        columns |= {"grammatical (share) | ends": (lambda line: line.grammatical(False), ()),
                    "grammatical (share) | between": (lambda line: line.grammatical(True), ())}
    return columns


def neutral_columns() -> Columns:
    """First sanity check of ceae, sec. 6: a mixed pair has something neutral between its ends."""
    return {**{f"neutral (share) | {by}": (neutral(by), (MIXED,)) for by in SCORERS},
            **{f"neutral at the middle (share) | {by}": (neutral(by, (0.5,)), (MIXED,)) for by in SCORERS[:2]}}


def alike_columns() -> Columns:
    """The second check, with that of the decoded ends, which is its ceiling; and the third."""
    return {**{f"of the kind of its pair (share) | {by}": (of_its_kind(by), ALIKE) for by in SCORERS},
            "of the kind of its pair (share) | text of the ends": (of_its_kind("text", (0.0, 1.0)), ALIKE),
            "content (share) | new sentence": (DecodedLine.new_sentences, ALIKE),
            "content (share) | nearer to the heavier end": (DecodedLine.nearer_to_heavier, ALIKE),
            "score fits (share) | code, text": (agreeing("code", "text"), (MIXED, *ALIKE))}


def course_columns() -> Columns:
    """Does the score go from one end to the other?  Mixed pairs, whose first sentence is the positive one."""
    return {**{f"rank correlation of score and λ | {by}": (course(by), (MIXED,)) for by in SCORERS[:2]},
            **{f"rises all the way (share) | {by}": (rising(by), (MIXED,)) for by in SCORERS[:2]}}


def accuracy_columns() -> Columns:
    """Who gives the scores: on the originals of all lines, whose labels are known."""
    return {f"right side of one half (share) | {by}": (right_sources(by), ()) for by in SCORERS}


def every_column(found: Sequence[Lines]) -> Columns:
    """All of the above."""
    return {**smooth_columns(), **fluency_columns(found), **neutral_columns(), **alike_columns(),
            **course_columns(), **accuracy_columns()}


def table(found: Sequence[Lines], columns: Columns, caption: str, name: str, notes: Sequence[str] = (),
          more: Sequence[Mapping[str, Any]] = ()) -> Table:
    """One row for each run, then `more` rows, which may lack columns."""
    rows = [{"family": each.name, **{header: each.mean(measure, *kinds).cell()
                                     for header, (measure, kinds) in columns.items()}} for each in found]
    rows += [{header: row.get(header) for header in ("family", *columns)} for row in more]
    return Table(rows, caption, [*notes, INTERVALS_NOTE], name)


def data(found: Sequence[Lines], columns: Columns, name: str) -> Download:
    """Means, intervals and numbers of lines behind tables, as a download."""
    rows = []
    for each in found:
        for header, (measure, kinds) in columns.items():
            mean = each.mean(measure, *kinds)
            low, high = mean.interval or (None, None)
            rows.append({"family": each.name, "measure": header.replace(" | ", ": "), "mean": mean.value, "low": low,
                         "high": high, "lines": mean.n, "lines asked": mean.of, "experiment": each.id})
    return Download(Table(rows, name, name=name))


def printed_checks() -> dict[str, Any]:
    """A row of the tables of checks from the first paper's own Table 6, whose scores are of codes as far as it says."""
    frame = published.sentences("ceae")
    inner = frame[frame["type"] == "interpolation"]
    mixed, alike = inner[inner["pair"] == MIXED]["score"], inner[inner["pair"].isin(ALIKE)]
    stays = [(row.score > 0.5) == (row.pair == ALIKE[1]) for row in alike.itertuples()]
    return {"family": "published (Table 6)", "neutral (share) | code": _rate(sum(map(is_neutral, mixed)), len(mixed)),
            "of the kind of its pair (share) | code": _rate(sum(stays), len(stays))}


def _rate(hits: int, of: int) -> Cell:
    """A share of few, with the exact interval of its probability (clopper1934fiducial)."""
    low, high = stats.binomtest(hits, of).proportion_ci(intervals.LEVEL)
    return Cell(hits / of, f"{hits / of:.2f} [{low:.2f},\u00a0{high:.2f}]", f"{hits} of {of}, exact binomial interval")


def source_checks(found: Lines) -> dict[str, Any]:
    """The same for the originals themselves: how neutral, and how much of their kind, reviews of the corpus are."""
    columns = {}
    for by in SCORERS[1:]:
        columns[f"neutral (share) | {by}"] = (neutral_sources(by), (MIXED,))
        columns[f"of the kind of its pair (share) | {by}"] = (right_sources(by), ALIKE)
    return {"family": "originals", **{header: found.mean(measure, *kinds).cell()
                                      for header, (measure, kinds) in columns.items()}}


# curves along λ ------------------------------------------------------------------------------------------------------

def along(found: Sequence[Lines]) -> list[Panel]:
    """Means over lines at each λ, with bootstrap bands: words, the critic, the score of mixed pairs, the norm."""
    critic = found[0].critic["name"]
    panels = [_panel(f"Fluency, {critic} critic", "nats per word", found,
                     lambda line: np.divide(line.content["nats"], line.content["words"])),
              _panel("Words", "from the λ = 0 end, share of the way", found, lambda line: line.course.gone())]
    if all(each.is_labelled for each in found):
        panels.append(_panel("Score of the text, mixed pairs", "p(positive)", found, lambda line: line.score("text"),
                             MIXED))
    return [*panels, _panel("Norm of the code", "over the mean norm of the ends", found, _norms)]


def _panel(title: str, unit: str, found: Sequence[Lines], values: Callable[[DecodedLine], Any], *kinds: str) -> Panel:
    curves = []
    for style, each in enumerate(found):                        # colours of families in the book may meet again
        columns = [values(line) for line in (each.of(*kinds) if kinds else each)]
        means = [Mean.over(column) for column in zip(*filter(lambda v: v is not None, columns), strict=True)]
        if means:
            spread = tuple(zip(*(m.interval for m in means), strict=True))
            curves.append(Line(each.name, list(each.weights), [m.value for m in means], style, spread=spread))
    return Panel(title, "λ, weight of the first sentence", unit, curves)


def _norms(line: DecodedLine) -> np.ndarray:
    norms = np.array(line.content["norms"])
    return norms / ((norms[0] + norms[-1]) / 2)


def norms(found: Sequence[Lines], caption: str, name: str) -> Table:
    """Lengths of codes: at the ends, in the middle, and of the prior."""
    rows = [{"family": each.name,
             "ends": each.mean(lambda line: float(np.mean([line.content["norms"][i] for i in (0, -1)]))).cell(),
             "middle": each.mean(lambda line: float(np.interp(0.5, line.weights, line.content["norms"]))).cell(),
             "middle over ends": each.mean(DecodedLine.norm_at_middle).cell(),
             "drawn from the prior": each.prior_norm} for each in found]
    return Table(rows, caption, [INTERVALS_NOTE], name)
