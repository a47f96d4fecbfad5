"""A second reading of the printed numbers, from the papers' own text: every cell, bold mark, star and sentence.

Wants a folder with `ceae.md` and `clvm.md` in the environment variable CEAE_PAPERS; without it these tests are skipped,
and what `test_published` checks (checksums, arithmetic) remains.
"""

import os
import re
from pathlib import Path

import pytest

from ceae_core.report import published

FOLDER = Path(os.environ.get("CEAE_PAPERS") or "/nonexistent")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the papers' text is not here (CEAE_PAPERS)")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
CAPTION_BELOW = {"ceae": True, "clvm": False}
ABOUT = {("ceae", 3): "Yelp (short, sentiment)", ("ceae", 9): "Yahoo", ("ceae", 10): "Yelp", ("ceae", 11): "PTB",
         ("ceae", 12): "Yahoo", ("ceae", 13): "Yelp", **{("clvm", table): "PTB" for table in (1, 3, 4, 7)}}
COLUMNS = {"G2-F": "GPT2-F", "FORWARD": "forward_PPL", "REVERSE": "reverse_PPL", "1k": "accuracy@1000labels",
           "2k": "accuracy@2000labels", "10k": "accuracy@10000labels", "100": "accuracy@100labels",
           "500": "accuracy@500labels"}
SHARE = {4: "choice_share_human", 5: "choice_share_human", 7: "choice_share_gpt4", 8: "choice_share_gpt4"}


def text(paper):
    return (FOLDER / f"{paper}.md").read_text(encoding="utf-8")


def blocks(paper):
    """Table number -> its lines, split into cells.  A table is a run of lines with tabs; its caption says which."""
    lines, found, start = text(paper).splitlines(), {}, 0
    while start < len(lines):
        end = start
        while end < len(lines) and "\t" in lines[end]:
            end += 1
        if end > start:
            around = lines[end:] if CAPTION_BELOW[paper] else lines[start - 1::-1]
            caption = next(filter(None, (re.match(r"Table (\d+):", line) for line in around)))
            found[int(caption[1])] = [line.split("\t") for line in lines[start:end]]
        start = end + 1
    return found


def plain(cell):
    """A cell without LaTeX, HTML, arrows and blanks."""
    return re.sub(r"\s+", "", re.sub(r"</?\w+>|\\mathbf|[${}\\↓↑]", "", cell))


def label(cell):
    """The label of a row: its letters, and the number in it; "$\\beta$ -VAE (0.4)" -> ("betaVAE", "0.4")."""
    number = re.search(r"\(([\d.]+)\)$|_([\d.]+)(?=VAE)", plain(cell))
    letters = plain(cell).replace(number[0], "") if number else plain(cell)
    return re.sub("[-_]", "", letters), (number[1] or number[2]) if number else ""


def content(cell):
    """Value, or interval and deviation, and the marks of a printed cell."""
    found = [float(number.replace(",", "")) for number in NUMBER.findall(plain(cell))]
    marks = {"bold": int("<b>" in cell), "starred": int("*" in cell)}
    if "-" in cell:
        return {"ci_low": found[0], "ci_high": found[1], **({"std": found[2]} if "(" in cell else {}), **marks}
    return {"value": found[0], **marks}


def printed(paper, table):
    """(part, model, what its name adds, dataset, metric) -> content of every cell in the paper's text."""
    head, *lines = blocks(paper)[table]
    head, cells, part, where = [plain(cell) for cell in head], {}, "", ""
    datasets = [ABOUT.get((paper, table), "")] * len(head)
    if head[1:3] == ["Yahoo", ""]:                              # the head has two lines
        datasets, head, lines = ["", *["Yahoo"] * 4, *["Yelp"] * 4], [plain(cell) for cell in lines[0]], lines[1:]
    for line in lines:
        if not any(map(plain, line[1:])):                       # a title across the table
            title = plain(line[0]).removeprefix("DATASET:")
            part, datasets = (part, [title] * len(head)) if title in ("Yahoo", "Yelp") else (title, datasets)
            continue
        first = head.index("-ELBO") if "-ELBO" in head else 1
        where = plain(line[0]) or where if first == 2 else ""   # z or h, printed once
        for name, dataset, cell in zip(head[first:], datasets[first:], line[first:], strict=True):
            model, adds = label(line[first - 1])
            metric = COLUMNS.get(name, name)
            if table in SHARE and paper == "ceae":              # models across
                model, adds, dataset, metric = *label(name), plain(line[0]), SHARE[table]
            elif (paper, table) in (("ceae", 9), ("ceae", 10)):
                model, adds, metric = *label(name), f"{plain(line[0]).lower()}_corr_with_bert_inner_products"
            elif (paper, table) == ("clvm", 7):
                model, adds = "cVAE+MI", model.lower()
            key = (part.startswith("OPTIMUS"), model, adds or where, dataset, metric)
            assert key not in cells
            cells[key] = content(cell)
    return cells


def stored(paper, table):
    """The same from the files."""
    out = {}
    for record in published.load(paper, table).to_dict("records"):
        adds = re.search(r"=([^,]+)", record["variant"])
        key = ("OPTIMUS" in record["architecture"], re.sub("[-_]", "", record["model"]), adds[1] if adds else "",
               record["dataset"], record["metric"])
        out[key] = {name: record[name] for name in (*published.NUMBERS, "bold", "starred")
                    if record[name] == record[name]}
    return out


@pytest.mark.parametrize("paper, table", [key for key in published.tables() if isinstance(key[1], int)])
def test_every_cell_is_what_the_paper_prints(paper, table):
    assert printed(paper, table) == stored(paper, table)


def test_every_table_of_the_papers_is_there():
    """Table 5 of the second paper consists of pictures; Table 6 of both, of sentences."""
    for paper, count, others in (("ceae", 13, {6}), ("clvm", 7, {5, 6})):
        captions = {int(number) for number in re.findall(r"^Table (\d+):", text(paper), flags=re.M)}
        assert captions == set(range(1, count + 1))
        assert captions - {table for p, table in published.tables() if p == paper} == others


def test_interpolated_sentences():
    ceae = [line for line in blocks("ceae")[6] if line[0] in ("Source", "Interpolation")]
    frame = published.sentences("ceae")
    assert [(kind.lower(), said, float(score)) for kind, said, score in ceae] == list(
        frame[["type", "text", "score"]].itertuples(index=False, name=None))
    weights = re.search(r"Table 6:.*weights (.*?) respectively", text("ceae"))[1]
    assert set(frame["weight_on_first_source"]) == {float(n) for n in re.findall(r"0\.\d", weights)} | {0.0, 1.0}
    clvm = [(float(NUMBER.findall(weight)[0]), said.replace("\\", "")) for weight, said in blocks("clvm")[6]]
    assert clvm == list(published.sentences("clvm")[["lambda", "text"]].itertuples(index=False, name=None))


def test_numbers_in_section_a5():
    """Two reconstructions and two triplets for Yahoo, one of each for Yelp, in the order of the columns."""
    said = section("ceae", "A.5")
    recs = re.search(r"\(([\d.]+), ([\d.]+)\) respectively", said).groups() + re.search(
        r"reconstruction of ([\d.]+)\.", said).groups()
    triplets = re.findall(r"\(([\d.]+), ([\d.]+), ([\d.]+)\)", said)
    expected = [float(n) for rec, triplet in zip(recs, triplets, strict=True) for n in (rec, *triplet)]
    assert published.load("ceae", "A.5")["value"].tolist() == expected


# numbers of the running text -----------------------------------------------------------------------------------------

SPELLED = {"entropy_weight_lambda0": r"6 \times 10^{-3}", "pairs": r"1000 \times 999 \times \frac{1}{2}",
              "entropy_weight_grid_size": "among 8 choices", "lr_decay_factor": "multiplied with 0.5",
              "weight_first_interpolation": "(0.8,0.2)", "weight_second_interpolation": "(0.2,0.8)"}


def section(paper, number):
    """The text from a section's heading to the next heading; a caption for "Table 6 caption"."""
    if caption := re.match(r"(Table \d+) caption", number):
        return re.search(rf"^{caption[1]}:.*$", text(paper), flags=re.M)[0]
    found = re.search(rf"^#+ {re.escape(number)} .*?(?=^#+ |\Z)", text(paper), flags=re.M | re.S)
    return found[0]


def spellings(value):
    """Ways in which a number stands in running text."""
    yield from (f"{value:g}", f"{value:.1f}", f"{value:,.0f}", f"{value:.0f}", f"{value / 1e3:g}K",
                f"{value / 1e6:g} million", f"{value:g}th", f"{value:g}M")
    if value == 5:
        yield "five"


@pytest.mark.parametrize("paper", ["ceae", "clvm"])
def test_settings_stand_in_the_sections_they_are_from(paper):
    for (component, quantity), setting in published.settings(paper).items():
        said = section(paper, setting.section)
        ways = [SPELLED[quantity]] if quantity in SPELLED else list(spellings(setting.value))
        assert any(re.search(rf"(?<![\d.]){re.escape(way)}(?![\d]|\.\d)", said) for way in ways), (component, quantity)


def test_claimed_differences_stand_in_the_text():
    for claim in published.differences("clvm").itertuples():
        assert re.search(rf"(?<![\d.]){claim.claimed_difference:g}(?!\d|\.\d)", section("clvm", claim.section))
