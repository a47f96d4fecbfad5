"""Agreement with a pretrained encoder on a page: beside the first paper's tables, beside baselines, by reading."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ceae_core import experiments
from ceae_core.audit.maths_shares import kendall_of, spearman_of
from ceae_core.experiments.agreement import NAME, SENTENCES, Study
from ceae_core.measure import agreement as measure
from ceae_core.measure.agreement import COEFFICIENTS, LEVEL, Agreement
from ceae_core.measure.sentence_vectors import LAST, Reading
from ceae_core.pretrained import MINILM
from ceae_core.report import published
from ceae_core.report.figures import GREY, PALETTE, family_style, styled, subplots
from ceae_core.report.recorded import corpora
from ceae_core.report.results import Result, load_recorded
from ceae_core.report.tables import BLANK, Cell, Table
from ceae_core.spec import RunSpec
from ceae_core.zoo import FAMILIES

ROWS = {"ceae": "CEAE", "bn-vae": "BN-VAE", "vae": "VAE"}              # family -> row of the paper's two tables
# our corpus -> that of the paper which it is, or is nearest to
LIKE = {"yahoo": "Yahoo", "yahoo-10k": "Yahoo", "yelp": "Yelp", "shen-yelp": "Yelp", "shen-yelp-devtest": "Yelp"}
TABLES = {"Yahoo": 9, "Yelp": 10}
USUAL = {"encoder": MINILM, "layer": LAST, "pooling": "mean", "encoder_similarity": "inner", "seed": 1,
         "sentences": SENTENCES}
BASELINES = {"words": "shared words", "tf-idf": "shared words, TF-IDF", "length": "likeness in length"}
YARDSTICK = BASELINES["tf-idf"]                     # what an agreement without any training comes to
READINGS = (Reading(0), Reading(LAST, "cls"))       # of the encoder itself, beside its usual one
SENTENCE_NOTE = (f"In brackets: {LEVEL:.0%} interval from resampled sentences (not pairs, which share sentences). "
                 "– : one side is constant.")


@dataclass(frozen=True)
class Judged:
    """How far one judge of similarity agrees with the encoder; `name` is what pages call it.

    `family` and `seed` are those of a run; other judges have none.
    """

    name: str
    place: str                      # "oracle at quick"
    content: Mapping[str, Any]      # of `experiments.agreement.Study`
    family: str | None = None
    seed: int | None = None

    @property
    def id(self) -> str:
        return self.content["id"]

    @cached_property
    def agreement(self) -> Agreement:
        return Agreement.read(self.content["result"])

    def value(self, coefficient: str) -> float | None:
        return self.agreement.values[coefficient]

    def cell(self, coefficient: str) -> Cell:
        """Value and interval."""
        interval = self.agreement.interval(coefficient)
        if interval is None:
            return Cell(None)
        return _with(self.value(coefficient), interval, self.content["parameters"]["of"])

    def minus(self, other: "Judged", coefficient: str) -> tuple[float, tuple[float, float]] | None:
        """The difference of two judges of the same sentences, with its interval by the same resamples."""
        return measure.difference(self.agreement, other.agreement, coefficient)


def _with(value: float, interval: tuple[float, float], title: str = "", sign: str = "") -> Cell:
    text = f"{value:{sign}.2f} [{interval[0]:{sign}.2f},\u00a0{interval[1]:{sign}.2f}]"
    return Cell(value, text.replace("-", "−"), title)


# where they come from ------------------------------------------------------------------------------------------------

def of_families(study: Study, specs: Iterable[RunSpec], *, device: str = "auto", similarity: str = "inner",
                ) -> list[Judged]:
    """The codes of these runs, known or computed now, runs included."""
    found = [(spec, study.of_run(spec, similarity, device=device)) for spec in specs]
    return [Judged(_name(spec), _place(content), content, spec.family, spec.seed) for spec, content in found]


def of_baselines(study: Study, untrained: Iterable[RunSpec] = ()) -> list[Judged]:
    """What needs no training, encoders of `untrained` before their first step, the labels where there are any, and
    other readings of the encoder: the ceiling."""
    found = {name: study.of_words(kind) for kind, name in BASELINES.items()}
    found |= {f"{spec.family}, not trained": study.of_untrained(spec) for spec in untrained}
    if study.corpus.splits["test"].labels:
        found["shared labels, the truth"] = study.of_labels()
    found |= {f"{study.source}: {_said(how)}": study.of_reading(how) for how in READINGS}
    return [Judged(name, _place(content), content) for name, content in found.items()]


def _name(spec: RunSpec) -> str:
    """As a result of the run would be called, which may not be there."""
    return Result(spec.id, spec.family, spec.seed, "", None, spec.corpus, spec.scale, vars(spec.settings),
                  spec.options, {}, (), 0.0, "").name


def _said(how: Reading) -> str:
    return str(how).replace("layer 0", "word embeddings")


def _place(content: Mapping[str, Any]) -> str:
    return f"{content['result']['corpus']} at {content['result']['scale']}"


def recorded(similarity: str = "inner") -> list[Judged]:
    """The recorded agreements of recorded runs and of words by the usual reading, by place, in the order of the zoo."""
    runs = {r.id: r for corpus in corpora() for r in load_recorded(corpus)}
    found = []
    for content in experiments.recorded(NAME):
        asked = content["parameters"]
        is_usual = all(asked[name] == value for name, value in USUAL.items())
        if is_usual and asked["judge"] in BASELINES:
            found.append(Judged(BASELINES[asked["judge"]], _place(content), content))
        elif is_usual and asked["judge"] == "codes" and asked["of"] in runs and asked["similarity"] == similarity:
            run = runs[asked["of"]]
            found.append(Judged(run.name, _place(content), content, run.family, run.seed))
    order = [*FAMILIES, None]
    return sorted(found, key=lambda each: (each.place, order.index(each.family), each.seed or 0, each.id))


def of_row(judged: Iterable[Judged], family: str | None, place: str) -> Judged | None:
    """The first seed of a family at a place, the plainest of its rows; None where there is none."""
    found = [each for each in judged if (each.family, each.place) == (family, place)]
    return min(found, key=lambda each: (each.seed or 0, len(each.name), each.name), default=None)


def places(judged: Iterable[Judged]) -> list[str]:
    """Where there is CEAE and another row of the paper's tables; corpora like the paper's first."""
    found = list(dict.fromkeys(each.place for each in judged))
    found = [place for place in found if of_row(judged, "ceae", place)
             and any(of_row(judged, family, place) for family in ROWS if family != "ceae")]
    return sorted(found, key=lambda place: (corpus_of(place) not in LIKE, list(LIKE).index(corpus_of(place))
                                            if corpus_of(place) in LIKE else 0))


def corpus_of(place: str) -> str:
    return place.partition(" at ")[0]


# tables --------------------------------------------------------------------------------------------------------------

def printed(dataset: str) -> dict[str, dict[str, published.Published]]:
    """Coefficient -> row of the table -> printed cell."""
    rows = {published.model_of(row): row for row in published.rows("ceae", TABLES[dataset])}
    return {name: {model: published.cell(row, dataset, f"{name}_corr_with_bert_inner_products")
                   for model, row in rows.items()} for name in COEFFICIENTS}


def beside(judged: Sequence[Judged], caption: str, name: str) -> Table:
    """Tables 9 and 10 beside ours: one row per corpus and coefficient, one column per model."""
    there = places(judged)
    wanted = [(dataset, [place for place in there if LIKE.get(corpus_of(place)) == dataset] or [None])
              for dataset in TABLES]
    wanted.append((None, [place for place in there if corpus_of(place) not in LIKE]))
    rows = []
    for dataset, ours in wanted:
        for place in ours:
            for coefficient in COEFFICIENTS:
                cells = printed(dataset)[coefficient] if dataset else {}
                rows.append({"published | corpus": dataset or Cell(None, BLANK),
                             "published | coefficient": coefficient.capitalize(),
                             **{f"published | {model}": _printed(cells.get(model)) for model in ROWS.values()},
                             "ours | corpus and scale": place or Cell(None, "not recorded"),
                             **{f"ours | {model}": _of(judged, family, place, coefficient)
                                for family, model in ROWS.items()},
                             f"ours | {YARDSTICK}": _of(judged, None, place, coefficient)})
    return Table(rows, caption, [
        f"Published: {published.CITATIONS['ceae']}, Tables 9 (Yahoo) and 10 (Yelp); bold as there. Ours: against "
        "MiniLM's last layer, mean over tokens, inner products on both sides.", SENTENCE_NOTE], name)


def _printed(found: published.Published | None) -> Cell:
    return Cell(found.value, f"{found.value:.2f}", found.citation, found.bold) if found else Cell(None, BLANK)


def _of(judged: Sequence[Judged], family: str | None, place: str | None, coefficient: str) -> Cell:
    found = place and of_row([each for each in judged if each.family or each.name == YARDSTICK], family, place)
    return found.cell(coefficient) if found else Cell(None, BLANK if place is None else "not recorded")


def board(judged: Sequence[Judged], best: Judged, caption: str, name: str) -> Table:
    """Every judge with its coefficients, and how far `best` is above it in Spearman's."""
    rows = []
    for each in judged:
        gap = None if each is best else best.minus(each, "spearman")
        rows.append({"similarity by": each.name, **{c.capitalize(): each.cell(c) for c in COEFFICIENTS},
                     f"{best.name} above it, Spearman": _with(*gap, sign="+") if gap else Cell(None, BLANK)})
    return Table(rows, caption, [SENTENCE_NOTE, "Last column: both judges on the same resamples, so what the "
                                 "sentences do to both drops out."], name)


def readings(study: Study, specs: Sequence[RunSpec], others: Sequence[tuple[Reading, str, str]], caption: str,
             name: str, *, device: str = "auto") -> Table:
    """Spearman's coefficient of runs by (reading of the encoder, its similarity, similarity of the codes)."""
    rows = []
    for how, theirs, ours in others:
        found = of_families(study.read_as(how, theirs), specs, device=device, similarity=ours)
        best = max(found, key=lambda each: each.value("spearman") or -1.0)
        rows.append({"encoder | read at": _said(how), "encoder | similarity": theirs, "codes | similarity": ours,
                     **{f"Spearman | {each.name}": Cell((c := each.cell("spearman")).value, c.text, c.title,
                                                       strong=each is best) for each in found}})
    return Table(rows, caption, ["Bold: the highest of a row.", SENTENCE_NOTE], name)


def copula(judged: Sequence[Judged], caption: str, name: str) -> Table:
    """Spearman and Kendall, printed and ours, each with what a Gaussian copula has for the other."""
    def row(source: str, model: str, rho: float, tau: float) -> dict[str, Any]:
        return {"source": source, "similarity by": model, "Spearman": rho, "Kendall": tau,
                "normal ranks | Kendall for that Spearman": kendall_of(rho),
                "normal ranks | Spearman for that Kendall": spearman_of(tau)}
    rows = [row(f"published, {dataset}", model, *(printed(dataset)[c][model].value for c in COEFFICIENTS[1:]))
            for dataset in TABLES for model in ROWS.values()]
    rows += [row(each.place, each.name, *(each.value(c) for c in COEFFICIENTS[1:])) for each in judged
             if each.value("kendall") is not None]
    return Table(rows, caption, [f"Published: {published.CITATIONS['ceae']}, Tables 9 and 10. Normal ranks: after "
                                 "monotone transforms both sides are jointly normal."], name)


@styled
def intervals(judged: Sequence[Judged], height: float = 0.0) -> Any:
    """One panel per coefficient: each judge's value and interval; other seeds of a family as small open points."""
    names = list(dict.fromkeys(each.name for each in judged))
    figure, axes = subplots(1, len(COEFFICIENTS), height or 0.9 + 0.3 * len(names), sharey=True)
    for ax, coefficient in zip(axes, COEFFICIENTS, strict=True):
        first: set[str] = set()
        for each in judged:
            value, row = each.value(coefficient), names.index(each.name)
            if value is None:
                continue
            colour = PALETTE[family_style(each.name) % len(PALETTE)] if each.family else GREY
            if each.name in first:
                ax.plot([value], [row + 0.22], "o", markersize=2.6, color=colour, markerfacecolor="none")
                continue
            first.add(each.name)
            ax.plot(each.agreement.interval(coefficient), [row, row], color=colour, linewidth=2.4)
            ax.plot([value], [row], marker="o" if each.family else "D", color=colour, markersize=5)
        ax.axvline(0, color=GREY, linewidth=1.0)
        ax.spines["left"].set_visible(False)
        ax.set(title=coefficient.capitalize(), xlabel="correlation over pairs", ylim=(len(names) - 0.5, -0.5))
    axes[0].set_yticks(range(len(names)), names)
    return figure


def data(judged: Sequence[Judged], name: str) -> Table:
    """Every coefficient with its interval, for a download."""
    rows = []
    for each in judged:
        for coefficient in COEFFICIENTS:
            low, high = each.agreement.interval(coefficient) or (None, None)
            rows.append({"similarity by": each.name, "seed": each.seed, "corpus and scale": each.place,
                         "coefficient": coefficient, "value": each.value(coefficient), "low": low, "high": high,
                         "of": each.content["parameters"]["of"], "experiment": each.id})
    return Table(rows, name, name=name)
