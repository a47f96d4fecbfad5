"""Critics beside the truth: what the grammar says of samples, and whether critics order families as it does."""

from collections.abc import Sequence

from ceae_core.report.figures import Line, Panel
from ceae_core.report.perplexity import DECODERS, NAMES, TRUE, Board, repetition
from ceae_core.report.table1 import rank_agreement
from ceae_core.report.tables import Cell, Table

FAR = 30                    # times the forward perplexity of true text: farther off is not drawn
WIDE = 5                    # a greater ratio of reverse perplexities is drawn on a logarithmic axis


def table(board: Board) -> Table:
    """What the grammar says of each family's samples, for each decoder the most of true text covered first."""
    rows = []
    for decoder in DECODERS:
        keys = [(family, "oracle", decoder) for family in board.families("oracle", decoder)]
        for key in sorted(keys, key=lambda key: -board.found[key]["reverse"]["template_mass"]):
            judged = board.found[key]
            rows.append({"decoding": "–" if key[0] == TRUE else decoder, "samples of": Cell(key[0],
                         strong=key[0] == TRUE),
                         "forward | grammatical": judged["forward"]["grammatical"],
                         "forward | true PPL": judged["forward"]["ppl"],
                         "forward | of the grammatical": judged["forward"]["ppl_grammatical"],
                         "reverse | templates covered": judged["reverse"]["template_mass"],
                         "reverse | words covered": judged["reverse"]["word_mass"],
                         **{f"samples | {header}": cell for header, cell in repetition(board, key).items()},
                         "samples | words": judged["diversity"]["distinct_words"]})
    counts = ", ".join(sorted({f"{each['diversity']['sentences']:,}" for key, each in board.found.items()
                               if key[1] == "oracle"}))
    return Table(rows, f"What the grammar itself says of {counts} samples",
                 ["True PPL: exp of the graded −log p per word, which is finite also outside the grammar. Of the "
                  "grammatical: exact −log p, of those sentences alone. Templates and words covered: the probability "
                  "that a true review has a template that the samples show, and the expected share of its words."],
                 "perplexity-truth", digits={"forward | grammatical": 3, "reverse | templates covered": 3,
                                             "reverse | words covered": 3})


def agreement(board: Board) -> Table:
    """Kendall's tau between what a critic says and the truth, over families, by direction and decoder."""
    rows = []
    for critic in (name for name in NAMES if name != "oracle"):
        for decoder in DECODERS:
            families = [f for f in board.families(critic, decoder) if f != TRUE]
            for direction in ("forward", "reverse"):
                said, true = (_column(board, families, name, decoder, direction) for name in (critic, "oracle"))
                if len(said.keys() & true.keys()) < 3:
                    continue
                tau, flipped, pairs = rank_agreement(said, true)
                rows.append({"critic": NAMES[critic], "decoding": decoder, "direction": direction,
                             "families": len(said.keys() & true.keys()), "Kendall's tau": tau,
                             "pairs the other way": Cell(len(flipped), f"{len(flipped)} of {pairs}", "; ".join(
                                 f"{a} before {b}" for a, b in flipped))})
    return Table(rows, "Does a critic order the families as the truth does?",
                 ["Truth: forward the grammar's perplexity, reverse the probability of templates not covered. τ is 1 "
                  "for the same order, −1 for the reverse. The pairs are the tooltips."], "perplexity-agreement")


def _column(board: Board, families: Sequence[str], critic: str, decoder: str, direction: str) -> dict[str, float]:
    """Family -> what a critic says; small is good."""
    is_coverage = critic == "oracle" and direction == "reverse"
    found = {family: board.number((family, critic, decoder), direction, "template_mass" if is_coverage else "ppl")
             for family in families}
    return {family: 1 - value if is_coverage else value for family, value in found.items() if value is not None}


def plane(board: Board, critic: str = "ngram") -> list[Panel]:
    """Forward against reverse perplexity of every family, a panel for each decoder; true text as a mark in both.

    Families with more than FAR times the forward perplexity of true text are left out, or nothing else would be seen.
    """
    true, panels = (TRUE, critic, DECODERS[0]), []
    most = FAR * (board.number(true, "forward") or float("inf"))
    styles = {family: i for i, family in enumerate(dict.fromkeys(key[0] for key in board.found))}
    for decoder in DECODERS:
        keys = [(family, critic, decoder) for family in board.families(critic, decoder) if family != TRUE]
        lines = [Line(key[0], [forward], [board.number(key, "reverse")], styles[key[0]], alone=True)
                 for key in (*keys, true) if (forward := board.number(key, "forward")) and forward < most]
        reverse = [line.y[0] for line in lines]
        is_wide = bool(lines) and max(reverse) > WIDE * min(reverse)
        panels.append(Panel(f"{decoder} decoding", f"forward perplexity, {NAMES[critic]}",
                            f"reverse perplexity, {NAMES[critic]}", lines, logarithmic=is_wide))
    return panels
