"""Findings on a page: executed or refused, counted completely, and rendered as MyST that parses."""

import csv
import io
import re

import pytest

from ceae_core.audit.finding import VERDICTS, Evidence, Finding
from ceae_core.errors import CeaeError
from ceae_core.report import audit


def finding(key="k", paper="ceae", kind="equation", verdict="error", holds=True, **more):
    check = None if more.get("basis") else lambda: Evidence(holds, "It is 2.", {"value": 2.0})
    return Finding(key, paper, "section 3", kind, verdict, "says $1 + 1 = 3$.", "right is 2", check, **more)


def test_checks_are_executed_and_readings_kept():
    found = audit.run([finding(), finding("r", basis="Read twice.")])
    assert found[0].evidence.shown == "It is 2." and found[1].evidence is None


def test_a_check_that_says_otherwise_stops_the_page():
    with pytest.raises(CeaeError, match="finding wrong: its check says otherwise: It is 2"):
        audit.run([finding(), finding("wrong", holds=False)])


def test_every_verdict_has_a_tone_and_every_kind_a_name():
    assert set(audit.TONE) == {verdict for verdicts in VERDICTS.values() for verdict in verdicts}
    assert set(audit.KINDS) == set(VERDICTS) and set(audit.TONE.values()) == set(audit.TONES)


def test_counts_add_up():
    every = [finding("a"), finding("b", basis="Read."), finding("c", "clvm"), finding("d", verdict="holds"),
             finding("e", "clvm", "claim", "supported")]
    rows = audit.counts(audit.run(every)).rows
    assert rows == [
        {"about": "equations", "verdict": "holds", "findings | CEAE": 1, "findings | CLVM": 0,
         "rest on | a computation": 1, "rest on | reading": 0},
        {"about": "equations", "verdict": "error", "findings | CEAE": 2, "findings | CLVM": 1,
         "rest on | a computation": 2, "rest on | reading": 1},
        {"about": "claims", "verdict": "supported", "findings | CEAE": 0, "findings | CLVM": 1,
         "rest on | a computation": 1, "rest on | reading": 0}]


def test_bars_are_as_long_as_there_are_findings():
    figure = audit.picture(audit.run([finding("a"), finding("b", verdict="holds"), finding("c", "clvm")])).figure
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["CEAE, equations", "CLVM, equations"]
    assert sum(bar.get_width() for bar in ax.patches) == 3
    assert [text.get_text() for text in ax.texts] == ["1", "1", "1"]


def test_a_line_says_place_verdict_and_claim_and_opens_on_the_rest():
    shown = audit.details(audit.run([finding("some-key", see="sec-x"), finding("r", basis="Read twice.")]), "equation",
                          "ceae")._repr_markdown_()
    assert shown.startswith("**Main text**\n\n")
    shown = shown.removeprefix("**Main text**\n\n")
    first, second = shown.split("\n\n:::{dropdown}")
    assert first.startswith(":::{dropdown} **Section 3** {bdg-danger}`error` says $1 + 1 = 3$\n")
    assert first.splitlines()[1] == ":name: finding-some-key"
    assert "right is 2\n\n*Computed:* It is 2.\n\n*More:* {ref}`sec-x`\n:::" in first
    assert "right is 2\n\nRead twice.\n:::" in second and "More" not in second


def test_equations_of_the_first_paper_stand_under_its_parts():
    from dataclasses import replace
    places = ("Eq. 8", "section A.4", "appendix B", "section 3")
    found = [replace(finding(str(i)), place=place) for i, place in enumerate(places)]
    made = audit.details(audit.run(found), "equation", "ceae")
    assert {part: [c.finding.place for c in inside] for part, inside in made.parts.items()} == {
        "Main text": ["Eq. 8", "section 3"], "Appendix A": ["section A.4"], "Appendices B to F": ["appendix B"]}
    assert made._repr_markdown_().count(":::{dropdown}") == 4 and "**Appendix A**" in made._repr_markdown_()
    assert repr(made).count("\n") == 3


def test_findings_on_both_papers_stand_under_their_names():
    every = audit.run([finding("a", "clvm", "choice", "open"), finding("b", "ceae", "choice", "open")])
    made = audit.details(every, "choice")
    assert {part: [c.finding.key for c in inside] for part, inside in made.parts.items()} == {
        "CEAE": ["b"], "CLVM": ["a"]}
    assert "*Chosen here:* It is 2." in made._repr_markdown_()


def test_no_findings_are_an_error():
    with pytest.raises(CeaeError, match="no finding of kind 'claim' about clvm"):
        audit.details(audit.run([finding()]), "claim", "clvm")


def test_download_has_every_finding_with_its_evidence():
    made = audit.download(audit.run([finding(), finding("r", "clvm", basis="Read.")]))
    rows = list(csv.DictReader(io.StringIO(made.table.csv())))
    assert [(row["key"], row["paper"], row["rests on"], row["evidence"]) for row in rows] == [
        ("k", "CEAE", "computation", "It is 2."), ("r", "CLVM", "reading", "Read.")]


def test_texts_of_the_findings_are_fit_for_the_page():
    """One line in the title, balanced dollars and backticks, no end of a directive inside, unique anchors."""
    from ceae_core.audit import FINDINGS
    assert len({audit.anchor(f) for f in FINDINGS}) == len(FINDINGS)
    for f in FINDINGS:
        for text in (f.says, f.finding, f.basis):
            assert text.count("`") % 2 == 0 and len(re.findall(r"(?<!\\)\$", text)) % 2 == 0, f.key
            assert ":::" not in text and "\n" not in text.strip(), f.key
        assert f.says and f.finding and len(f.says) < 220, f.key
