"""Findings about the papers as a page shows them: executed, counted, and one line each that opens."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ceae_core.audit.finding import VERDICTS, Evidence, Finding
from ceae_core.errors import CeaeError
from ceae_core.report.figures import GREY, PALETTE, WIDTH, styled
from ceae_core.report.source import PAPERS
from ceae_core.report.tables import Download, Table

KINDS = {"equation": "equations", "number": "published numbers", "claim": "claims", "choice": "choices"}
# how a verdict is coloured: (name in the legend, class of its badge, place in the palette, hatch)
TONES = {
    "as printed": ("success", 2, ""),
    "with a condition or a slip": ("info", 5, "///"),
    "not as printed": ("danger", 1, "xxx"),
    "cannot be told, or is left open": ("warning", 8, "..."),
}
TONE = {verdict: tone for tone, verdicts in zip(TONES, (
    ("holds", "definition", "consistent", "supported"), ("holds if", "typo", "partly supported"),
    ("error", "inconsistent", "impossible", "not supported"),
    ("unexplained", "not comparable", "not checkable", "open", "contradictory")), strict=True) for verdict in verdicts}


class Checked(NamedTuple):
    """A finding with what its check computed; None where it rests on reading."""

    finding: Finding
    evidence: Evidence | None


def run(findings: Iterable[Finding]) -> list[Checked]:
    """Execute every check.  Raises CeaeError naming the first finding whose check does not come out as it says."""
    out = []
    for finding in findings:
        evidence = finding.check() if finding.check else None
        if evidence is not None and not evidence.holds:
            raise CeaeError(f"finding {finding.key}: its check says otherwise: {evidence.shown} Correct the finding, "
                            "or what it rests on")
        out.append(Checked(finding, evidence))
    return out


def chosen(checked: Sequence[Checked], kind: str, paper: str | None = None) -> list[Checked]:
    """The findings of a kind, of one paper or of both."""
    return [c for c in checked if c.finding.kind == kind and paper in (None, c.finding.paper)]


# counts --------------------------------------------------------------------------------------------------------------

def counts(checked: Sequence[Checked]) -> Table:
    """How many findings of each kind and verdict there are, and on what they rest."""
    rows = []
    for kind, verdicts in VERDICTS.items():
        for verdict in verdicts:
            found = [c for c in chosen(checked, kind) if c.finding.verdict == verdict]
            papers = Counter(c.finding.paper for c in found)
            executed = sum(c.evidence is not None for c in found)
            if found:
                rows.append({"about": KINDS[kind], "verdict": verdict,
                             **{f"findings | {name}": papers[paper] for paper, name in PAPERS.items()},
                             "rest on | a computation": executed, "rest on | reading": len(found) - executed})
    return Table(rows, f"{len(checked)} findings", ["A finding about both papers counts for the one whose table it "
                                                    "names first."], "audit-counts")


@styled
def picture(checked: Sequence[Checked]) -> Any:
    """One bar per kind and paper, divided by the tone of the verdicts."""
    from matplotlib.figure import Figure
    bars = [(kind, paper) for kind in KINDS for paper in PAPERS if chosen(checked, kind, paper)]
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(bars)), layout="constrained")
    ax = figure.subplots()
    left = [0] * len(bars)
    for tone, (_, colour, hatch) in TONES.items():
        widths = [sum(TONE[c.finding.verdict] == tone for c in chosen(checked, *bar)) for bar in bars]
        ax.barh(range(len(bars)), widths, left=left, height=0.68, label=tone, color=PALETTE[colour], hatch=hatch,
                edgecolor="white", linewidth=0.8)
        for row, (start, width) in enumerate(zip(left, widths, strict=True)):
            if width:
                ax.annotate(str(width), (start + width / 2, row), ha="center", va="center", fontsize=9,
                            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9})
        left = [start + width for start, width in zip(left, widths, strict=True)]
    ax.set_yticks(range(len(bars)), [f"{PAPERS[paper]}, {KINDS[kind]}" for kind, paper in bars])
    ax.set(xlabel="findings", ylim=(len(bars) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0, colors=GREY)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


# one line each -------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Details:
    """Findings as MyST: a line with place, verdict and what the paper says, which opens on what was found.

    `parts` are the findings under their headings; "" stands for none.  The cell that shows it needs the metadata
    `{"mystnb": {"markdown_format": "myst"}}`.
    """

    parts: Mapping[str, Sequence[Checked]]

    def __repr__(self) -> str:
        return "\n".join(f"{f.place}: {f.verdict}. {_one_line(f.finding)}" for part in self.parts.values()
                         for f, _ in part)

    def _repr_markdown_(self) -> str:
        blocks = []
        for heading, part in self.parts.items():
            blocks += [f"**{heading}**"] * bool(heading) + list(map(_dropdown, part))
        return "\n\n".join(blocks)


def details(checked: Sequence[Checked], kind: str, paper: str | None = None) -> Details:
    """The findings of a kind and paper in their order: of both papers under the papers' names, equations of the first
    by main text and appendices.

    Raises CeaeError when there are none.
    """
    found = chosen(checked, kind, paper)
    if not found:
        raise CeaeError(f"audit: there is no finding of kind {kind!r} about {paper or 'either paper'}")
    parts: dict[str, list[Checked]] = {}
    for c in found if paper else (c for name in PAPERS for c in chosen(checked, kind, name)):
        heading = PAPERS[c.finding.paper] if paper is None else part_of(c.finding) if (kind, paper) == (
            "equation", "ceae") else ""
        parts.setdefault(heading, []).append(c)
    return Details(parts)


def part_of(finding: Finding) -> str:
    """The part of the first paper in which a finding's place lies."""
    appendix = re.match(r"(?:section|appendix) ([A-G])\b", finding.place)
    return "Main text" if appendix is None else "Appendix A" if appendix[1] == "A" else "Appendices B to F"


def _dropdown(checked: Checked) -> str:
    finding, evidence = checked
    badge = TONES[TONE[finding.verdict]][0]
    label = "Chosen here" if finding.kind == "choice" else "Computed"
    ground = f"*{label}:* {evidence.shown}" if evidence else finding.basis
    more = f"\n\n*More:* {{ref}}`{finding.see}`" if finding.see else ""
    place = finding.place[0].upper() + finding.place[1:]
    says = _one_line(finding.says).removesuffix(".")
    return (f":::{{dropdown}} **{place}** {{bdg-{badge}}}`{finding.verdict}` {says}\n"
            f":name: {anchor(finding)}\n:class-container: ceae-finding\n\n"
            f"{finding.finding}\n\n{ground}{more}\n:::")


def anchor(finding: Finding) -> str:
    """The label under which the book refers to a finding."""
    return f"finding-{finding.key}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def download(checked: Sequence[Checked]) -> Download:
    """All findings as CSV."""
    rows = [{"key": f.key, "paper": PAPERS[f.paper], "kind": f.kind, "place": f.place, "verdict": f.verdict,
             "the paper says": f.says, "finding": f.finding, "rests on": "computation" if e else "reading",
             "evidence": e.shown if e else f.basis} for f, e in checked]
    return Download(Table(rows, "Findings", name="audit-findings"))
