"""Every finding's computation comes out as the finding says, and every finding leads somewhere."""

import pytest

from ceae_core.audit import FINDINGS, MODULES
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.errors import CeaeError

CHECKED = [finding for finding in FINDINGS if finding.check]


def test_keys_are_unique_and_no_module_is_forgotten():
    keys = [finding.key for finding in FINDINGS]
    assert len(set(keys)) == len(keys)
    assert all(module.FINDINGS for module in MODULES) and sum(len(m.FINDINGS) for m in MODULES) == len(FINDINGS)


@pytest.mark.parametrize("finding", CHECKED, ids=lambda finding: finding.key)
def test_the_computation_shows_what_the_finding_says(finding):
    evidence = finding.check()
    assert isinstance(evidence, Evidence) and evidence.holds, evidence.shown
    assert evidence.shown.strip() and not any(word in evidence.shown for word in ("nan", "None"))
    assert all(isinstance(value, float) for value in evidence.values.values())


def test_a_finding_needs_a_check_or_a_basis_and_a_known_verdict():
    facts = {"key": "k", "paper": "ceae", "place": "Eq. 1", "kind": "equation", "says": "s", "finding": "f"}
    with pytest.raises(CeaeError, match="either a check or the basis"):
        Finding(**facts, verdict="holds")
    with pytest.raises(CeaeError, match="either a check or the basis"):
        Finding(**facts, verdict="holds", basis="b", check=lambda: Evidence(True, "x"))
    with pytest.raises(CeaeError, match="verdict 'perhaps'"):
        Finding(**facts, verdict="perhaps", basis="b")
