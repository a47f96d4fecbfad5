"""Perplexity of generated text beside both papers' tables, and the critics beside the truth."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ceae_core import corpora, experiments, zoo
from ceae_core.critics.ngram import UNSEEN, WRITTEN, NgramCritic
from ceae_core.critics.perplexity import PAPERS, Protocol
from ceae_core.errors import CeaeError
from ceae_core.experiments import critic_anchor, generated
from ceae_core.experiments.generated import Judged, Wanted
from ceae_core.report import published
from ceae_core.report.beside import printed
from ceae_core.report.notes import Note
from ceae_core.report.results import OWN_NUMBERS, load_recorded, zoo_row
from ceae_core.report.tables import BLANK, Cell, Table
from ceae_core.spec import Settings, resolve

TRUE = "true text"
DECODERS = ("multinomial", "greedy")
SMALL = {"smoke": {"forward": 200, "reverse": 1_000}}          # other scales take the papers' 1,000 and 10,000
RECORDED = (("oracle", "quick"), ("ptb", "laptop"))             # places of which results are recorded
CLVM, CLVM_WORD = "clvm", "clvm, <unk> a word"      # stand for the n-gram critic under the second paper's protocol, as
                                                    # published and with <unk> of the text taken as a word
NAMES = {"ngram": "5-gram", "lstm": "LSTM", "gpt2-scratch": "GPT-2 from scratch", "gpt2": "GPT-2", "oracle": "grammar"}
Key = tuple[str, str, str]      # family or TRUE, critic or CLVM, decoder


@dataclass(frozen=True)
class Board:
    """What critics said, by key, at one place: a corpus at a scale.  `ids` are those of the results."""

    where: str
    found: Mapping[Key, Judged] = field(default_factory=dict)
    ids: Mapping[Key, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The corpus and the scale alone."""
        return self.where.rpartition(", ")[2]

    def number(self, key: Key, direction: str, name: str = "ppl") -> float | None:
        """A number of a key; None where it is not there or not run."""
        return self.found.get(key, {}).get(direction, {}).get(name)

    def cell(self, key: Key, direction: str, name: str = "ppl") -> Cell:
        """The same for a table, which says why it is not there."""
        part = self.found.get(key, {}).get(direction)
        if part is None:
            return Cell(None, BLANK)
        if "not_run" in part:
            return Cell(None, "not run", part["not_run"])
        settings = part.get("settings", {})
        unseen = f"{part['oov']} of {part['tokens']} positions unknown" if "oov" in part else ""
        return Cell(part[name], title="; ".join(filter(None, [unseen, str(settings.get("unknown_words", ""))])))

    def families(self, critic: str, decoder: str) -> list[str]:
        """Those that have a key with this critic and decoder, in order, true text last."""
        there = [family for family, *rest in self.found if tuple(rest) == (critic, decoder)]
        return [family for family in there if family != TRUE] + [TRUE] * (TRUE in there)


def protocol(critic: str, decoder: str, scale: str) -> Protocol:
    """The first paper's sample sizes by critic and decoder; for CLVM and CLVM_WORD the second paper's protocol."""
    if critic in (CLVM, CLVM_WORD):
        small = {name: SMALL[scale]["forward"] for name in ("forward", "reverse")} if scale in SMALL else {}
        word = {"unknown": "rename"} if critic == CLVM_WORD else {}
        return replace(PAPERS["clvm"], scale=scale, **small, **word)
    return Protocol(critic=critic, decode=decoder, scale=scale, **SMALL.get(scale, {}))


def wanted(families: Sequence[str], critics: Sequence[str], corpus: str, scale: str, seed: int, *,
           decoders: Sequence[str] = DECODERS, model: str = "gpt2", with_true: bool = True) -> dict[Key, Wanted]:
    """Every family and, `with_true`, true text under every critic and decoder; the second paper's protocol is greedy.

    `model` is the pretrained GPT-2: a folder or a name.
    """
    specs = {family: resolve(family, corpus=corpus, scale=scale, seed=seed) for family in families}
    out: dict[Key, Wanted] = {}
    for critic in critics:
        for decoder in decoders if critic != CLVM else ("greedy",):
            chosen = replace(protocol(critic, decoder, scale), model=model)
            out |= {(family, critic, decoder): Wanted(spec, chosen) for family, spec in specs.items()}
            if with_true and (decoder == decoders[0] or critic == CLVM):        # it does not depend on the decoder
                out[TRUE, critic, decoder] = Wanted(next(iter(specs.values())), chosen, is_true=True)
    return out


def build(asked: Mapping[Key, Wanted], **more: Any) -> Board:
    """The board of these, computed now unless this machine has it; `more` goes to `generated.obtain`."""
    spec = next(iter(asked.values())).spec
    return Board(f"this build, {spec.corpus} at {spec.scale}",
                 dict(zip(asked, generated.obtain(list(asked.values()), **more), strict=True)),
                 {key: each.id for key, each in asked.items()})


def recorded(corpus: str, scale: str, seed: int = 1, net: str = Settings.net) -> Board:
    """What is recorded with the project for runs of a corpus at a scale, on one kind of networks.

    Which kind a run has is known from its own record; a run without one has the usual.
    """
    nets = {result.id: result.net for result in load_recorded(corpus, scale)}
    named, found, ids = re.compile(rf"(.+)-{corpus}-{scale}-s{seed}-[0-9a-f]{{12}}"), {}, {}
    kinds = {protocol(critic, decoder, scale): (critic, decoder) for critic in (*NAMES, CLVM, CLVM_WORD)
             for decoder in DECODERS}
    for content in experiments.recorded(generated.PERPLEXITY):
        rest = dict(content["parameters"])
        run, is_true = named.fullmatch(rest.pop("run_id")), rest.pop("is_true")
        if run and nets.get(run[0], Settings.net) == net and (kind := kinds.get(Protocol(**rest))):
            key = (TRUE if is_true else run[1], *kind)
            found[key], ids[key] = content["result"], content["id"]
    order = [*zoo.FAMILIES, TRUE]
    return Board(f"recorded, {corpus} at {scale}",
                 {key: found[key] for key in sorted(found, key=lambda key: order.index(key[0]))}, ids)


def protocols() -> Table:
    """What both papers do, as far as they or the published code say, and what is done here."""
    def stated(component: str, quantity: str) -> int:
        return int(published.setting("ceae", component, quantity).value)
    code, own = PAPERS["clvm"], Protocol()
    first = {"critic": f"LSTM, {stated('critic', 'lstm_critic_layers')} layers of "
                       f"{stated('critic', 'lstm_critic_hidden')}; GPT-2",
             "samples": f"{stated('evaluation', 'forward_ppl_samples'):,} forward, "
                        f"{stated('evaluation', 'reverse_ppl_samples'):,} reverse", "reverse is scored on": "test"}
    second = {"critic": f"{code.order}-gram model", "samples": f"{code.forward:,}",
              "decoding": f"{code.decode}, {code.max_length} words at most",
              "reverse is scored on": f"test in the caption, {code.split} in the code",
              "ends of sentences": "not counted",
              "<unk> of the text": "left out of the training, unknown in scoring",
              "words that samples lack": "one line for each is added to the samples"}
    ours = {"critic": "all of these, and the grammar",
            "samples": f"{own.forward:,} forward, {own.reverse:,} reverse; or {code.forward:,}",
            "decoding": "both", "reverse is scored on": "test; or train",
            "ends of sentences": "counted; or not", "<unk> of the text": "a word; or unknown",
            "words that samples lack": "share what discounts free; or a line for each"}
    rows = [{"": name, "CEAE paper": first.get(name, "not stated"), "CLVM paper, by its code base": second[name],
             "here": text} for name, text in ours.items()]
    return Table(rows, "How forward and reverse perplexity are measured",
                 ["Here: behind “or” what the option --paper clvm does."], "perplexity-protocols")


# beside the papers ---------------------------------------------------------------------------------------------------

def family_of(row: str) -> str | None:
    """The family whose usual form a published row is, None if there is none; CLVM's Table 4 has rows of its Table 1."""
    if row == "clvm:4:AE:":
        return "ae"                                                 # Table 1 does not have it
    paper, table, rest = row.split(":", 2)
    found = zoo_row(f"{paper}:{1 if (paper, table) == ('clvm', '4') else table}:{rest}")
    if not found:
        return None
    usual = zoo.family(found[0]).defaults()
    return found[0] if all(usual[name] == found[1].get(name, usual[name]) for name in OWN_NUMBERS if name in usual) \
        else None


def with_ceae(boards: Sequence[Board]) -> Table:
    """CEAE's Table 1, its three columns of perplexity, beside ours: samples at temperature 1."""
    def ours(board: Board, family: str) -> dict[str, Cell]:
        decoder, asked = DECODERS[0], {critic for _, critic, _ in board.found}
        columns = {"GPT2-F": ("gpt2", "forward"), "L-F": ("lstm", "forward"), "L-R": ("lstm", "reverse")}
        return {**{name: board.cell((family, critic, decoder), direction)
                   for name, (critic, direction) in columns.items() if critic in asked},
                **repetition(board, (family, "ngram", decoder))}
    cells = [(dataset, metric) for dataset in ("Yahoo", "Yelp") for metric in ("GPT2-F", "L-F", "L-R")]
    return _beside("ceae", 1, cells, boards, ours,
                   "CEAE paper, Table 1: forward (F) and reverse (R) perplexity by GPT-2 and LSTM (L)",
                   "ceae-table1-perplexity", ["Ours: multinomial decoding at temperature 1, 1,000 samples forward and "
                                              "10,000 reverse (at smoke fewer). " + MORE])


def with_clvm(boards: Sequence[Board]) -> Table:
    """CLVM's Table 4 beside ours by the protocol of the published code."""
    def ours(board: Board, family: str) -> dict[str, Cell]:
        key = (family, CLVM, "greedy")
        return {"forward": board.cell(key, "forward"), "reverse": board.cell(key, "reverse"),
                **repetition(board, key)}
    return _beside("clvm", 4, [("PTB", "forward_PPL"), ("PTB", "reverse_PPL")], boards, ours,
                   "CLVM paper, Table 4: forward and reverse perplexity by a 5-gram model", "clvm-table4-perplexity",
                   ["Ours: the protocol of the published code, greedy decoding, 1,280 samples, reverse on the training "
                    "split. " + MORE])


MORE = ("Distinct: different sentences among all samples. Self-BLEU: of 200 samples, 100 means that they are all the "
        "same. Length: mean number of words, its spread as a tooltip. True text: new text of the corpus in the place "
        "of samples. Not run: why, as a tooltip. Rows without numbers of ours are not among this page's families, or "
        "are variants of one.")


def unknown_words(board: Board) -> Table:
    """The second paper's protocol as published, and with `<unk>` as a word: what in the numbers is `<unk>`."""
    rows = []
    for family in board.families(CLVM, "greedy"):
        key, word = (family, CLVM, "greedy"), (family, CLVM_WORD, "greedy")
        positions = board.number(key, "forward", "tokens")
        rows.append({"samples of": Cell(family, strong=family == TRUE),
                     "<unk> | of the words": Cell(board.number(key, "forward", "oov") / positions,
                                                  f"{board.number(key, 'forward', 'oov') / positions:.0%}"),
                     "forward | as published": board.cell(key, "forward"),
                     "forward | other words alone": board.cell(key, "forward", "ppl_excluding_oov"),
                     "forward | <unk> a word": board.cell(word, "forward"),
                     "reverse | as published": board.cell(key, "reverse"),
                     "reverse | <unk> a word": board.cell(word, "reverse"),
                     **{f"samples | {header}": cell for header, cell in repetition(board, key).items()}})
    return Table(rows, f"What <unk> does to the second paper's numbers ({board.place})",
                 ["As published: <unk> is left out of the critic's training and unknown in what it scores."],
                 "perplexity-unknown-words", places=1)


def repetition(board: Board, key: Key) -> dict[str, Cell]:
    """How the samples of a key repeat themselves, in the same words in every table."""
    found = board.found.get(key)
    if not found:
        return dict.fromkeys(("distinct", "self-BLEU", "length"), Cell(None, BLANK))
    diversity = found["diversity"]
    return {"distinct": Cell(diversity["distinct_sentences"],
                             title=f"of {diversity['sentences']:,} samples"),
            "self-BLEU": Cell(diversity["self_bleu"], title=f"of {diversity['self_bleu_sentences']} samples"),
            "length": Cell(diversity["length_mean"], title=f"words; sd {diversity['length_sd']:.1f}, at most "
                                                           f"{len(diversity['lengths']) - 1}")}


def _beside(paper: str, table: int, cells: Sequence[tuple[str, str]], boards: Sequence[Board],
            ours: Callable[[Board, str], Mapping[str, Cell]], caption: str, name: str, notes: Sequence[str]) -> Table:
    rows, shown = [], set()
    for row in published.rows(paper, table):
        family = family_of(row) or ""
        shown.add(family)
        rows.append({"model": Cell(published.title(row), title=f"here: {family}" if family else "not of this page"),
                     **{f"published | {dataset} {_short(metric)}": printed(row, dataset, metric)[1]
                        for dataset, metric in cells},
                     **{f"{board.where} | {header}": cell for board in boards
                        for header, cell in ours(board, family).items()}})
    blank = {column: Cell(None, BLANK) for column in rows[0]}
    others = dict.fromkeys(key[0] for board in boards for key in board.found if key[0] not in shown)
    others = [*(family for family in others if family != TRUE), *([TRUE] if TRUE in others else [])]
    rows += [blank | {"model": Cell(family, strong=family == TRUE),
                      **{f"{board.where} | {header}": cell for board in boards
                         for header, cell in ours(board, family).items()}} for family in others]
    origin = f"Published: {published.CITATIONS[paper]}, Table {table}; bold as there."
    return Table(rows, caption, [origin, *notes], name, places=1)


def _short(metric: str) -> str:
    return metric.removesuffix("_PPL")


# the anchor ----------------------------------------------------------------------------------------------------------

def anchor(corpus: str, data: str | None = None, order: int = 5) -> Table | Note:
    """The n-gram critic of a corpus's training split on its test split, `<unk>` in the text taken both ways.

    Without the files of the corpus a note that says so.
    """
    try:
        splits = corpora.load(corpus, data).splits
    except CeaeError as error:
        return Note("Not run", str(error))
    rows = []
    for unknown, meaning in WRITTEN.items():
        critic = NgramCritic.fit(splits["train"].sentences, order=order, unknown=unknown, scorer="numpy")
        scores = critic.score(splits["test"].sentences)
        rows.append({"<unk> of the text": meaning, "perplexity": scores.perplexity(),
                     "without unknown words": scores.perplexity_excluding_oov(), "unknown": int(scores.oov.sum()),
                     "positions": int(scores.positions.sum())})
    return Table(rows, f"A {order}-gram model of the training split of {corpus} on its test split",
                 [f"Estimated by {critic.settings['estimator']}. {UNSEEN[0].upper()}{UNSEEN[1:]}."],
                 f"anchor-{corpus}")


def lstm_anchor() -> Table | Note:
    """Recorded perplexities of the LSTM critic of a training split on the other two; without any a note."""
    rows = [{"corpus": content["parameters"]["corpus"], "layers": settings["layers"], "width": settings["hidden"],
             **{f"{label} | {split}": content["result"][how][split]["ppl"] for how, label in
                (("stream", "as one stream"), ("sentences", "sentence by sentence")) for split in ("valid", "test")},
             "epochs": settings["epochs"], "result": content["id"]}
            for content in experiments.recorded(critic_anchor.NAME) for settings in [content["result"]["settings"]]]
    if not rows:
        return Note("Not recorded", "No LSTM critic has been trained on a real corpus and recorded yet.")
    return Table(rows, "The LSTM critic by the recipe of the classic small model, perplexity", [
        "Trained on the training split. As one stream: the state goes on from sentence to sentence, as in the "
        "literature. Sentence by sentence: as samples are scored."], "anchor-lstm", places=1)
