"""Rules for perplexities of generated text: what critics say of recorded samples, against the printed orders."""

from collections.abc import Sequence
from dataclasses import replace

from ceae_core.report import published
from ceae_core.report.perplexity import CLVM, DECODERS, Board, family_of
from ceae_core.report.reproduction import printed
from ceae_core.report.reproduction.outcome import Check, Outcome, Records, joined

SAME = 0.02                 # perplexities that differ by less than this share are not told apart by one seed
DIRECTIONS = {"F": "forward", "R": "reverse"}
FORWARD, REVERSE = "forward_PPL", "reverse_PPL"
PAIRS_4 = (("iVAE has a lower forward perplexity than VAE", FORWARD, "iVAE:", "VAE:"),
           ("iVAE has a lower forward perplexity than iVAE_MI", FORWARD, "iVAE:", "iVAE_MI:"),
           ("iVAE_MI has a lower reverse perplexity than iVAE", REVERSE, "iVAE_MI:", "iVAE:"),
           ("iVAE has a lower reverse perplexity than VAE", REVERSE, "iVAE:", "VAE:"),
           ("cVAE+_MI has the lowest reverse perplexity: below iVAE_MI", REVERSE, "cVAE+_MI:", "iVAE_MI:"))


def below(board: Board, critic: str, decoder: str, direction: str, family: str, others: Sequence[str],
          ) -> tuple[bool | None, str] | None:
    """Whether a family has a lower perplexity than all `others` that are there, with the numbers of the lowest one.

    None without the family or any other; open (holds None) where the lowest other is as low but for SAME.
    """
    own = board.number((family, critic, decoder), direction)
    found = {other: board.number((other, critic, decoder), direction) for other in others if other != family}
    found = {other: number for other, number in found.items() if number is not None}
    if own is None or not found:
        return None
    best = min(found, key=found.get)
    is_close = abs(own - found[best]) < SAME * own
    return None if is_close else own < found[best], f"{family} {own:.1f}, {best} {found[best]:.1f}"


def ceae_perplexities(keys: Sequence[str], boards: Sequence[Board]) -> list[Check]:
    """Rows of the first paper's tables: the columns of perplexity, whose printed reading is that CEAE is lowest."""
    families = list(filter(None, map(family_of, keys)))
    checks = [Check("CEAE has the lowest GPT2-F", None, "GPT-2's weights are not recorded with the project")]
    for letter, direction in DIRECTIONS.items():
        found = {board.place: below(board, "lstm", DECODERS[0], direction, "ceae", families) for board in boards}
        checks.append(joined(f"CEAE has the lowest L-{letter} (samples at temperature 1)",
                             {place: each for place, each in found.items() if each}))
    return checks


def clvm_table4(records: Records) -> Outcome:
    """Second paper, Table 4: its orders by the protocol of the published code."""
    checks, said = [], {}
    for says, metric, lower, higher in PAIRS_4:
        one, other = (published.cell(f"clvm:4:{model}", "PTB", metric).value for model in (lower, higher))
        if one >= other:
            checks.append(Check(says, False, "not even as printed"))
            continue
        families = [family_of(f"clvm:4:{model}") for model in (lower, higher)]
        found = {board.place: below(board, CLVM, "greedy", metric.removesuffix("_PPL"), families[0], families[1:])
                 for board in records.perplexities}
        found = {place: each for place, each in found.items() if each}
        checks.append(joined(says, found))
        said |= {(place, metric): text for place, (_, text) in found.items()}
    ours = "; ".join(f"{metric.removesuffix('_PPL')}, {place}: {text}" for (place, metric), text in said.items())
    ids = [each for board in records.perplexities for key, each in board.ids.items() if key[1] == CLVM]
    return replace(printed.perplexities(records), ours=ours, checks=checks, experiments=ids)
