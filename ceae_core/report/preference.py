"""Sheets of this build: who stands where, what the stand-in chose, and the papers' choices beside it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ceae_core.corpora import Corpus
from ceae_core.critics import oracle
from ceae_core.critics.scores import Critic
from ceae_core.preference import cost, folder, form, judge, prompt, shares, standin
from ceae_core.preference.answers import Answers
from ceae_core.preference.sheet import Sheet
from ceae_core.report import published
from ceae_core.report import shares as printed
from ceae_core.report.shares import p_text, span
from ceae_core.report.tables import Cell, Table

FAMILIES = ("ceae", "bn-vae", "vae")        # ours for the papers' columns CEAE, BN-VAE, VAE


def critic_of(corpus: Corpus) -> Critic:
    """Whose likelihood the stand-in takes: the grammar's on its own corpus, elsewhere that of a 5-gram model."""
    if corpus.name == "oracle":
        return oracle.default()
    from ceae_core.critics.ngram import NgramCritic
    return NgramCritic.fit(corpus.splits["train"].sentences)


# the sheet -----------------------------------------------------------------------------------------------------------

def positions_table(sheet: Sheet, how: str, name: str) -> Table:
    """How often each model stands at each position, and how many of its candidates differ."""
    distinct = sheet.distinct()
    rows = [{"model": name, **{f"position | {place}": int(n) for place, n in enumerate(counts, 1)},
             "different candidates": distinct[name], "run": Cell(run)}
            for name, run, counts in zip(sheet.models, sheet.runs, sheet.positions(), strict=True)]
    return Table(rows, f"Sheet {sheet.id}: {len(sheet.items)} items, {how}", ["From the key, which raters do not see."],
                 name)


def items_table(sheet: Sheet, critic: Critic, count: int = 3) -> Table:
    """The first items with what only the key tells: the model, and the -log p behind the stand-in's choice."""
    rows, nats = [], standin.scores(sheet, critic)
    best = standin.answers(sheet, critic).positions[0]
    for item, row, chosen in zip(sheet.items[:count], nats, best, strict=False):
        rows += [{"item": item.number if place == 0 else Cell(None, " "), "position": place + 1,
                  "candidate": Cell(text, strong=place == chosen), "model (key)": sheet.models[item.order[place]],
                  "nats per word": float(row[place])} for place, text in enumerate(item.texts)]
    return Table(rows, "The first items of the sheet, opened", ["Bold: what the stand-in chooses."], "sheet-items")


@dataclass(frozen=True)
class Files:
    """Links to the files of a sheet, which carry them: to save, and the form to open in a new tab as well."""

    sheet: Sheet

    def contents(self) -> dict[str, str]:
        """File name -> text, as `ceae sheet make` writes them."""
        return {folder.FORM: form.page(self.sheet), folder.SHEET: folder.to_csv(self.sheet),
                folder.KEY: folder.key_text(self.sheet)}

    def __repr__(self) -> str:
        return f"sheet {self.sheet.id}: {', '.join(self.contents())}"

    def _repr_html_(self) -> str:
        kinds = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
        links = "".join(
            f'<li><a download="{name}" href="data:{kinds[name.rsplit(".", 1)[1]]};base64,'
            f'{b64encode(text.encode()).decode()}">Download {name}</a></li>' for name, text in self.contents().items())
        opens = ("const content = document.querySelector('#ceae-form-files a').href.split(',')[1];"
                 "const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));"
                 "window.open(window.URL.createObjectURL(new Blob([bytes], {type: 'text/html'})), '_blank')")
        return (f'<div class="ceae-notes" id="ceae-form-files"><ul>{links}</ul>'
                f'<p><button type="button" onclick="{opens}">Open the form in a new tab</button></p></div>')


# answers -------------------------------------------------------------------------------------------------------------

def shares_table(given: Mapping[str, Answers], caption: str, name: str) -> Table:
    """Shares with intervals of several kinds of answers to one sheet, and the two largest differences' tests."""
    rows = []
    for label, answers in given.items():
        models = answers.sheet.models
        votes = shares.votes(answers.choices, len(models))
        found = shares.shares(models, votes)
        cells: dict[str, Any] = {"chosen by": label, "answers": int(votes.sum())}
        cells |= {f"share (%), 95 % | {share.model}": Cell(
            100 * share.share, f"{100 * share.share:.1f} ({span(100 * share.low, 100 * share.high)})",
            strong=share.share == max(s.share for s in found)) for share in found}
        cells |= {f"p (Holm) | {pair.first} – {pair.second}": Cell(pair.p_holm, p_text(pair.p_holm))
                  for pair in shares.pairs(models, votes)}
        cells["p, all equal"] = Cell(p := shares.against_chance(votes.sum(0))[1], p_text(p))
        rows.append(cells)
    return Table(rows, caption, [
        "Intervals: Wilson, with several raters for the effective number of answers. p, all equal: as if answers were "
        "independent."], name)


def bias_table(given: Mapping[str, Answers], caption: str, name: str) -> Table:
    """Positions chosen, agreement, and how many answers count as one."""
    rows = []
    for label, answers in given.items():
        positions = answers.position_counts()
        votes = shares.votes(answers.choices, len(answers.sheet.models))
        kappa = shares.fleiss(answers.choices)
        rows.append({"chosen by": label, **{f"position chosen | {k}": int(n) for k, n in enumerate(positions, 1)},
                     "p, positions equal": Cell(p := shares.against_chance(positions)[1], p_text(p), strong=p < 0.05),
                     "Fleiss' kappa": kappa,
                     "design effect": max(shares.design_effect(votes, k) for k in range(votes.shape[1]))
                     if len(answers.raters) > 1 else None})
    return Table(rows, caption, ["Agreement and design effect need several raters."], name)


def beside_table(given: Mapping[str, Answers]) -> Table:
    """The papers' shares and those of this build's stand-in, which judges other texts."""
    rows = [{"chosen by": row.judge, "models, corpus": Cell(row.of, title=published.CITATIONS["ceae"]),
             "source": f"published, Table {row.table}",
             **{f"share (%) | {model}": share for model, share in zip(printed.MODELS, row.shares, strict=True)}}
            for row in printed.printed()]
    for label, answers in given.items():
        total, counts = answers.counts().sum(), answers.counts()
        column = {name.split(" ")[0]: 100 * float(n / total)
                  for name, n in zip(answers.sheet.models, counts, strict=True)}
        rows.append({"chosen by": label, "models, corpus": "this build's runs", "source": "this build",
                     **{f"share (%) | {model}": column.get(family)
                        for model, family in zip(printed.MODELS, FAMILIES, strict=True)}})
    return Table(rows, "Published choices, and those of the stand-in", [
        "The stand-in is a formula. It has read neither the paper's samples nor any text as a person reads it."],
        "preference-beside", places=1)


# a judge -------------------------------------------------------------------------------------------------------------

def cost_table(sheet: Sheet) -> Table:
    """What asking a model about the sheet would take; a rough estimate."""
    rows = []
    for variant in prompt.VARIANTS:
        found = cost.estimate(judge.questions(sheet, variant, "a model", {}), None, None)
        rows.append({"variant": variant, "requests": found["requests"],
                     "tokens asked, about": found["prompt_tokens_estimate"],
                     "tokens answered, about": found["answer_tokens_estimate"]})
    return Table(rows, "What a model would be asked", [
        f"{cost.LETTERS_PER_TOKEN:.0f} letters a token, {cost.ANSWER_TOKENS} tokens a reply: rules of thumb."],
        "judge-cost")


def orders_table(given: Mapping[str, Mapping[str, judge.Judged]]) -> Table:
    """What asking in every rotation does: kind of judge -> variant -> its replies."""
    rows = []
    for kind, variants in given.items():
        for variant, found in variants.items():
            effects, counts = found.order_effects(), found.answers().counts()
            rows.append({"simulated judge": kind, "asked": variant,
                         **{f"replied position | {k}": n for k, n in enumerate(effects["positions"], 1)},
                         "p, positions equal": Cell(effects["p"], p_text(effects["p"]), strong=effects["p"] < 0.05),
                         "same in all orders (%)": None if effects["consistent"] is None
                         else 100 * effects["consistent"], "undecided items": effects["undecided_items"],
                         **{f"share of decided (%) | {name}": 100 * float(n / max(1, counts.sum()))
                            for name, n in zip(found.sheet.models, counts, strict=True)}})
    return Table(rows, "One taste, four ways to ask", [
        "Decided: more than half of the orders give the same model."], "judge-orders", places=1)


@dataclass(frozen=True)
class Prompt:
    """The message of the first item, as it is sent."""

    sheet: Sheet

    def __repr__(self) -> str:
        return prompt.messages(self.sheet.items[0].texts)[0]["content"]

    def _repr_html_(self) -> str:
        return f'<div class="ceae-source"><pre style="white-space: pre-wrap">{escape(repr(self))}</pre></div>'
