"""Rule for the first paper's Table 3: accuracy from few labels, by the recorded probes."""

from dataclasses import replace

from ceae_core.report import probe, published
from ceae_core.report.probe import Board
from ceae_core.report.reproduction import printed
from ceae_core.report.reproduction.outcome import APART, Check, Outcome, Records, joined
from ceae_core.report.tables import Cell, Table

CEAE = "ceae:3:CEAE:"
FEW, MANY = 100, 10_000         # the ends of the table: "especially as more labels become available" (section 5)


def ceae_table3(records: Records) -> Outcome:
    """CEAE before the best other row at each number of labels, and a margin that grows with it."""
    cells = probe.printed()
    counts = list(cells[CEAE])
    found = {count: {board.place: _lead(board, records, count) for board in records.probes} for count in counts}
    checks = []
    for count in counts:
        # The paper marks some leads as insignificant: then it says no more than that nobody is before CEAE.
        says = "no row is before CEAE" if cells[CEAE][count].starred else "CEAE is before every other row"
        checks.append(joined(f"{says} with {count:,} labels", {
            place: (each[0].holds, each[1]) for place, each in found[count].items() if each}))
    checks.append(_growing(records))
    places = [board.place for board in records.probes if all(found[count].get(board.place) for count in counts)]
    ours = "; ".join(f"{place}: {', '.join(_signed(found[count][place][0].difference) for count in counts)} points"
                     for place in places)
    runs = {run.id: run for board in records.probes for row in cells for run in board.of_row(row)}
    ids = [content["id"] for board in records.probes for content in board.contents]
    return replace(printed.labels(records), ours=ours, checks=checks,
                   runs=list(runs.values()), experiments=ids)


def _lead(board: Board, records: Records, count: int) -> tuple[probe.Gap, str] | None:
    """CEAE's lead before the best other row at a place, and both in words; None where either was not probed."""
    sd = probe.encoder_sd([board], count) or probe.encoder_sd(records.probes, count)
    rivals = {row: gap for row in probe.printed() if row != CEAE
              and (gap := probe.gap(board, CEAE, row, count, APART, sd))}
    if not rivals:
        return None
    best = min(rivals, key=lambda row: rivals[row].difference)
    gap = rivals[best]
    text = f"{_signed(gap.difference)} against {published.title(best)}, margin {gap.margin:.1f}"
    return gap, text


def _growing(records: Records) -> Check:
    """The lead with many labels against that with few."""
    says = f"CEAE's lead is larger with {MANY:,} labels than with {FEW:,}"
    found = {}
    for board in records.probes:
        few, many = (_lead(board, records, count) for count in (FEW, MANY))
        if few and many:
            change = many[0].difference - few[0].difference
            margin = (many[0].margin ** 2 + few[0].margin ** 2) ** 0.5
            found[board.place] = (None if abs(change) <= margin else change > 0,
                                  f"{_signed(few[0].difference)} to {_signed(many[0].difference)}")
    return joined(says, found)


def _signed(points: float) -> str:
    """A difference with its sign, zero with none."""
    return f"{points:+.1f}".replace("-", "−") if round(abs(points), 1) else "0.0"


def leads(records: Records, caption: str, name: str) -> Table:
    """CEAE's lead before the best other row by number of labels: printed, and at each recorded place with its margin.
    """
    cells, rows = probe.printed(), []
    for count, own in cells[CEAE].items():
        best = max(each[count].value for row, each in cells.items() if row != CEAE)
        row: dict = {"labels": count, "published | lead (points)": Cell(
            own.value - best, f"{_signed(own.value - best)}{'*' if own.starred else ''}", own.citation)}
        for board in records.probes:
            gap, text = _lead(board, records, count) or (None, "")
            shown = _signed(gap.difference) if gap else ""
            row |= {f"{board.place} | lead (points)": Cell(gap and gap.difference, shown, text),
                    f"{board.place} | margin": gap and gap.margin}
        rows.append(row)
    return Table(rows, caption, [
        f"Lead: over the row that is best without CEAE (which, as a tooltip). Margin: {APART:g} standard errors, of "
        "the mean difference over seeds, which are paired, and of another training of the encoders, where that spread "
        "is recorded for any row, there or else elsewhere."], name, places=1)
