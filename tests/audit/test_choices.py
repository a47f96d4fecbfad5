"""What a reproducer must choose: every option that is named exists, and what is shown is what runs use."""

import pytest

from ceae_core.audit import choices
from ceae_core.errors import CeaeError
from ceae_core.spec import resolve

CHECKED = [finding for finding in choices.FINDINGS if finding.check]


def references():
    return sorted({reference for finding in CHECKED for reference in finding.check.args[0]})


@pytest.mark.parametrize("finding", CHECKED, ids=lambda finding: finding.key)
def test_every_named_option_exists_and_is_shown(finding):
    found = finding.check()
    assert found.holds
    for reference in finding.check.args[0]:
        assert f"`{reference.partition('.')[2]}` {choices.said(choices.chosen(reference))}" in found.shown


@pytest.mark.parametrize("reference", references())
def test_what_is_shown_is_what_a_run_at_scale_paper_has(reference):
    source, _, option = reference.partition(".")
    if source in ("sample", "clusters"):
        assert choices.chosen(reference) is not None
        return
    changes = {"net": "transformer"} if source == "transformer" else {}
    spec = resolve("vae" if source in ("settings", "transformer") else source, scale="paper", set=changes)
    runs = {**vars(spec.settings), **spec.options}
    assert option in runs
    if choices.chosen(reference) is not None:               # c0 is by the rule, which needs a corpus
        assert choices.chosen(reference) == runs[option]


def test_an_option_that_is_gone_is_named():
    with pytest.raises(CeaeError, match="ceae has no option 'colour'"):
        choices.check_options(("ceae.temperature", "ceae.colour"))
    with pytest.raises(CeaeError, match="no 'nobody' in the zoo"):
        choices.chosen("nobody.temperature")


def test_values_are_readable():
    assert [choices.said(v) for v in (None, True, 0.5, 1e-5, 80_000, "greedy")] == [
        "by the rule", "yes", "0.5", "1e-05", "80,000", "greedy"]


def test_both_papers_leave_something_open():
    assert {finding.paper for finding in choices.FINDINGS} == {"ceae", "clvm"}
    assert len({finding.key for finding in choices.FINDINGS}) == len(choices.FINDINGS) == 19
