"""Rules for the interpolated sentences, Table 6 of both papers: rates over many lines beside chosen examples."""

from ceae_core.report import published
from ceae_core.report.lines import ALIKE, MIXED, Lines, Mean, agreeing, neutral, of_its_kind
from ceae_core.report.reproduction.outcome import Outcome, Records, joined

HALF = 0.5
# What the first paper says of interpolated reviews (section 6): claim -> measure of a line, kinds of lines.
SANITY = {"between a positive and a negative review lies a neutral one": (neutral("text"), (MIXED,)),
          "between two reviews of a kind lie reviews of that kind": (of_its_kind("text"), ALIKE),
          "scores fit the text": (agreeing("code", "text"), (MIXED, *ALIKE))}


def ceae_table6(records: Records) -> Outcome:
    """First paper: its three sanity checks, by the decoded text, on recorded lines of CEAE."""
    frame = published.sentences("ceae")
    between, pairs = int((frame["type"] == "interpolation").sum()), frame["pair"].nunique()
    found = [each for each in records.lines if each.family == "ceae" and each.is_labelled]
    rates = {says: {each.name: each.mean(measure, *kinds) for each in found}
             for says, (measure, kinds) in SANITY.items()}
    ours = "; ".join(f"{each.name}: " + ", ".join(f"{word} {rate[each.name].cell().text}" for word, rate in zip(
        ("neutral", "of its kind", "score fits"), rates.values(), strict=True)) for each in found)
    return Outcome(f"{between} interpolated sentences between {pairs} pairs", ours,
                   f"{between} chosen sentences illustrate, they do not measure.",
                   [joined(f"{says}, more often than not", {name: _most(rate) for name, rate in of_lines.items()})
                    for says, of_lines in rates.items()], experiments=[each.id for each in found])


def clvm_table6(records: Records) -> Outcome:
    """Second paper: sentences change along a line, on recorded lines of its contrastive models; others are told."""
    frame = published.sentences("clvm")
    contrastive = [each for each in records.lines if each.family.startswith("cvae")]
    ours = "; ".join(f"{each.name}: {each.mean(lambda line: line.course.distinct).value:.1f} different of "
                     f"{len(each.weights)}" for each in records.lines if each.corpus == "ptb")
    return Outcome(f"{len(frame)} sentences on one line between two codes", ours,
                   "One line between two sentences illustrates, it does not measure.",
                   [joined("most steps along a line of a contrastive model change the sentence",
                           {each.name: _most(_changes(each)) for each in contrastive})],
                   experiments=[each.id for each in contrastive])


def _changes(found: Lines) -> Mean:
    return found.mean(lambda line: 1.0 - line.course.still)


def _most(rate: Mean) -> tuple[bool | None, str]:
    """Whether a rate is above one half, undecided where its interval is not on one side; and the rate."""
    if rate.value is None:
        return None, ""
    low, high = rate.interval
    return (True if low > HALF else False if high < HALF else None), rate.cell().text
