"""Source on a page is the source of the code, line for line."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

import ceae_core
from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.losses.divergences import free_bits
from ceae_core.measure.likelihood import rec_and_kl
from ceae_core.models.posteriors import Gaussian
from ceae_core.report.source import deviations, show_family, show_source

ROOT = Path(ceae_core.__file__).parents[1]


def lines_of(source):
    text = (ROOT / source.path).read_text(encoding="utf-8").splitlines()
    return text[source.first - 1:source.first - 1 + source.text.count("\n")]


@pytest.mark.parametrize("thing", [free_bits, Gaussian, Gaussian.forward, rec_and_kl])
def test_the_lines_are_those_of_the_file(thing):
    source = show_source(thing)
    assert [line.strip() for line in lines_of(source)] == [line.strip() for line in source.text.splitlines()]
    shown = BeautifulSoup(source._repr_html_(), "html.parser")
    assert shown.pre.text.strip() == source.text.strip()
    assert source.path in shown.p.text


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_every_family_has_its_row(name):
    source = show_family(name)
    assert source.path == "ceae_core/zoo.py"
    assert [line.strip() for line in lines_of(source)] == [line.strip() for line in source.text.splitlines()]
    cited = {key for family in zoo.FAMILIES.values() for key in family.cite}
    assert name in source.text or any(key in source.text for key in cited)


def test_what_has_no_source_is_refused():
    with pytest.raises(CeaeError, match="no source"):
        show_source(len)
    with pytest.raises(CeaeError, match="no 'nobody'"):
        show_family("nobody")


def test_all_deviations_are_collected():
    comments = sum(path.read_text(encoding="utf-8").count("# DEVIATION(") for path in (ROOT / "ceae_core").rglob("*.py")
                   if path.name != "source.py")
    rows = deviations().rows
    assert len(rows) == comments >= 4
    for row in rows:
        path, line = row["where"].split(":")
        assert "DEVIATION" in (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert row["paper"].startswith(("CEAE, sec. ", "CLVM, sec. ")) and row["what we do"].endswith(".")


def test_the_zoo_cites_what_the_bibliography_has():
    from pybtex.database import parse_file
    keys = set(parse_file(str(ROOT / "book" / "references.bib")).entries)
    assert {key for family in zoo.FAMILIES.values() for key in family.cite} <= keys
