"""Every table and figure of both papers: what came of it here.  A chapter that runs another one gives it its rule."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from ceae_core.report.axis import AUTHORS
from ceae_core.report.reproduction import (
    correlations,
    few_labels,
    generated,
    language,
    pictures,
    printed,
    sentences,
    transformers,
)
from ceae_core.report.reproduction.outcome import (
    VERDICTS,
    Check,
    Outcome,
    Records,
    recorded,
    tally,
    verdict,
)
from ceae_core.report.tables import Cell, Table

__all__ = ["ITEMS", "Check", "Item", "Outcome", "Records", "Report", "recorded", "report"]
LINE = 100                  # columns of a terminal
NO_TEXT = "The text that was judged is not public"
NO_CORPUS = "The training splits of Yahoo and Yelp could not be obtained"


@dataclass(frozen=True)
class Item:
    """A table or figure: the chapter that is about it, and the rule that says what came of it.

    `why` says why something of it is not run; with `is_barred` it cannot be run here, however long one trains.
    """

    paper: str              # ceae or clvm
    label: str              # "Table 1", "Figure 3"
    about: str
    rule: Callable[[Records], Outcome]
    chapter: str | None = None
    why: str = ""
    is_barred: bool = False
    is_drawing: bool = False


ITEMS: tuple[Item, ...] = (
    Item("ceae", "Figure 1", "architecture", pictures.drawing("bn-vae", "ceae"), "model_zoo", is_drawing=True),
    Item("ceae", "Table 1", "LSTM language models, Yahoo and Yelp", language.ceae_table1, "ceae_language_models",
         "Yahoo and Yelp could not be obtained, nor GPT-2's weights."),
    Item("ceae", "Table 2", "transformers and OPTIMUS, Yahoo and Yelp", transformers.ceae_table2, "transformers",
         "No transformer is recorded yet."),
    Item("ceae", "Table 3", "sentiment from few labels", few_labels.ceae_table3, "representations",
         "No probe of CEAE is recorded yet."),
    Item("ceae", "Table 4", "choices of people, LSTMs", printed.human(4), "human_and_gpt4_evaluation",
         f"{NO_TEXT}, and it takes raters; the sheets for them are there.", is_barred=True),
    Item("ceae", "Table 5", "choices of people, transformers", printed.human(5), "human_and_gpt4_evaluation",
         f"{NO_TEXT}, and it takes raters; the sheets for them are there.", is_barred=True),
    Item("ceae", "Table 6", "interpolated reviews", sentences.ceae_table6, "interpolation",
         "No labelled line of CEAE is recorded yet."),
    Item("ceae", "Table 7", "choices of GPT-4, LSTMs", printed.choices(7, None), "human_and_gpt4_evaluation",
         f"{NO_TEXT}, nor is the version of the model named; the command is there.", is_barred=True),
    Item("ceae", "Table 8", "choices of GPT-4, transformers", printed.choices(8, None), "human_and_gpt4_evaluation",
         f"{NO_TEXT}, nor is the version of the model named; the command is there.", is_barred=True),
    Item("ceae", "Table 9", "agreement with BERT, Yahoo", correlations.ceae_table("Yahoo"),
         "representations", "No agreement of CEAE is recorded yet."),
    Item("ceae", "Table 10", "agreement with BERT, Yelp", correlations.ceae_table("Yelp"),
         "representations", "No agreement of CEAE is recorded yet."),
    Item("ceae", "Table 11", "transformers, PTB", transformers.ceae_table11, "transformers",
         "No transformer is recorded yet."),
    Item("ceae", "Table 12", "spread over runs, Yahoo", printed.spreads("Yahoo"), "statistics"),
    Item("ceae", "Table 13", "spread over runs, Yelp", printed.spreads("Yelp"), "statistics"),
    Item("clvm", "Figure 1", "contrast of two views", pictures.drawing("cvae"), "model_zoo", is_drawing=True),
    Item("clvm", "Figure 2", "relations of the models", pictures.drawing(
        "vae", "ivae", "ivae-mi", "cvae", "cvae-mi", "cvae+", "cvae+-mi"), "model_zoo", is_drawing=True),
    Item("clvm", "Table 1", "language models, PTB", language.clvm_table1, "ptb_language_modelling"),
    Item("clvm", "Table 2", "language models, Yahoo and Yelp", printed.other_corpora, "ptb_language_modelling",
         f"{NO_CORPUS}; the commands are there.", is_barred=True),
    Item("clvm", "Table 3", "contrast on h or z", language.clvm_table3, "ablations"),
    Item("clvm", "Table 4", "forward and reverse perplexity", generated.clvm_table4, "perplexity",
         "No samples of these rows are recorded yet."),
    Item("clvm", "Figure 3", "KL and MI over the epochs", pictures.clvm_figure3, "kl_negativity"),
    Item("clvm", "Table 5", "synthetic clusters", pictures.clvm_table5, "synthetic_clusters"),
    Item("clvm", "Table 6", "interpolated sentences", sentences.clvm_table6, "interpolation",
         "No line of a contrastive model is recorded yet."),
    Item("clvm", "Figure 4", "rates of dropout", pictures.clvm_figure4, "ablations"),
    Item("clvm", "Table 7", "swapped words or dropout", language.clvm_table7, "ablations"),
)


@dataclass(frozen=True)
class Row:
    """An item with what its rule found."""

    item: Item
    outcome: Outcome

    @property
    def name(self) -> str:
        return f"{AUTHORS[self.item.paper]}, {self.item.label}"

    @property
    def verdict(self) -> str:
        return verdict(self.outcome.checks, self.item.is_drawing, bool(self.ids),
                       self.item.why if self.item.is_barred else "")

    @property
    def run(self) -> str:
        """What was run: corpora, scales, runs and seeds."""
        places: dict[str, list] = {}
        for result in self.outcome.runs:
            places.setdefault(f"{result.corpus} at {result.scale}", []).append(result)
        said = []
        for place, group in places.items():
            seeds = Counter(r.name for r in group).values()
            span = f"{min(seeds)} to {max(seeds)}" if min(seeds) < max(seeds) else str(max(seeds))
            said.append(f"{place}: {len(group)} run{'s' * (len(group) > 1)}, {span} seed{'s' * (max(seeds) > 1)} each")
        if self.outcome.experiments:
            said.append(f"{(n := len(self.outcome.experiments))} experiment{'s' * (n > 1)}")
        return "; ".join(said)

    @property
    def ids(self) -> list[str]:
        return [*(r.id for r in self.outcome.runs), *self.outcome.experiments]

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"paper": self.item.paper, "item": self.item.label, "about": self.item.about, "verdict": self.verdict,
                "published": self.outcome.theirs, "here": self.outcome.ours, "lesson": self.outcome.lesson,
                "why": self.item.why, "chapter": self.item.chapter, "run": self.run, "runs": self.ids,
                "checks": [{"says": c.says, "holds": c.holds, "shown": c.shown} for c in self.outcome.checks]}


@dataclass(frozen=True)
class Report:
    """All rows."""

    rows: Sequence[Row]

    def counts(self) -> dict[str, int]:
        """Verdict -> how many tables and figures have it, in the order of VERDICTS."""
        found = Counter(row.verdict for row in self.rows)
        return {name: found[name] for name in VERDICTS}

    def of(self, paper: str) -> "Report":
        """The rows of one paper."""
        return Report([row for row in self.rows if row.item.paper == paper])

    def table(self, caption: str = "Every table and figure of both papers", name: str = "reproduction") -> Table:
        """For the page: one row per table and figure."""
        rows = [{"item": Cell(row.name, title=row.item.about, html=_link(row)),
                 "verdict": Cell(row.verdict, title=row.item.why, strong=True),
                 "checks that hold": Cell(tally(row.outcome.checks) or None, title="; ".join(
                     f"{c.says}: {'open' if c.holds is None else 'yes' if c.holds else 'no'}"
                     for c in row.outcome.checks)),
                 "published": row.outcome.theirs, "here": row.outcome.ours or row.item.why or None,
                 "lesson": row.outcome.lesson, "what was run": Cell(row.run or None, title="; ".join(row.ids))}
                for row in self.rows]
        return Table(rows, caption, [
            "Checks: which, as a tooltip, with numbers below. What was run: the run ids as a tooltip. Nats are per "
            "sentence."], name)

    def counts_table(self) -> Table:
        """How often each verdict was given."""
        def which(verdict: str, paper: str) -> str | None:
            return ", ".join(row.item.label for row in self.rows if (row.verdict, row.item.paper) == (verdict, paper))
        return Table([{"verdict": name, "how many": count, **{f"which | {AUTHORS[paper]}": which(name, paper) or None
                                                            for paper in AUTHORS}}
                      for name, count in self.counts().items()], "Verdicts", name="reproduction-counts")

    def checks_table(self) -> Table:
        """Every check with its numbers."""
        rows = [{"item": row.name, "it is read to say": check.says,
                 "holds": "open" if check.holds is None else "yes" if check.holds else Cell("no", strong=True),
                 "numbers": check.shown or None} for row in self.rows for check in row.outcome.checks]
        return Table(rows, "The checks behind the verdicts", [
            "Open: not measured, not recorded in full, or closer than two runs of one model that differ in the seed. "
            "Numbers of claims about PPL are nats per sentence, which have the same order."],
            "reproduction-checks")

    def lines(self) -> list[str]:
        """For a terminal of LINE columns."""
        out = []
        for row in self.rows:
            out.append(f"{row.name + '  ' + row.item.about:<76.76}{row.verdict.rjust(LINE - 76)}")
            for label, text in (("published", row.outcome.theirs), ("here", row.outcome.ours or row.item.why),
                                ("checks", tally(row.outcome.checks)), ("run", row.run),
                                ("lesson", row.outcome.lesson), ("chapter", row.item.chapter)):
                if text:
                    out += wrap(text, LINE, initial_indent=f"  {label:<10}", subsequent_indent=" " * 12)
        counts = ", ".join(f"{count} {name}" for name, count in self.counts().items())
        return [*out, "", *wrap(f"{len(self.rows)} tables and figures: {counts}", LINE)]


def _link(row: Row) -> str:
    label, about = escape(row.item.label), escape(row.item.about)
    linked = f'<a href="{row.item.chapter}.html">{label}</a>' if row.item.chapter else label
    return f"{linked}<br><small>{about}</small>"


def report(records: Records | None = None, items: Sequence[Item] = ITEMS) -> Report:
    """The verdict on every item from the recorded results (default: those of the project)."""
    records = recorded() if records is None else records
    return Report([Row(item, item.rule(records)) for item in items])
