"""Sheets from runs."""

import pytest

from ceae_core import execute
from ceae_core.errors import CeaeError
from ceae_core.manifest import DIVERGED
from ceae_core.preference import drawing
from ceae_core.runs import Run, Store
from ceae_core.spec import resolve


@pytest.fixture(scope="module")
def runs(reviews, tmp_path_factory):
    small = {"precision": "fp32", "batch_size": 64, "iw_samples": 2, "iw_sentences": 4}
    store = Store(tmp_path_factory.mktemp("runs"))
    return [execute.obtain(resolve(family, str(reviews), "smoke", seed, set=small), store, device="cpu")
            for family, seed in (("vae", 1), ("ae", 1), ("ae", 2))]


def test_candidates_are_samples_of_the_runs(runs):
    sheet = drawing.sheet_of(runs[:2], 20, 4)
    assert sheet.models == ("vae", "ae") and sheet.runs == (runs[0].id, runs[1].id) and len(sheet.items) == 20
    assert sheet.made == {"decode": "multinomial", "temperature": 1.0, "max_length": 100}
    known = set(runs[1].vocabulary().words)
    assert all(set(item.texts[item.position(1)].split()) <= known for item in sheet.items)
    assert sheet == drawing.sheet_of(runs[:2], 20, 4) and sheet.id != drawing.sheet_of(runs[:2], 20, 5).id
    assert drawing.sheet_of(runs[:2], 20, 4, temperature=0.1).id != sheet.id


def test_runs_beside_other_texts(runs):
    sheet = drawing.sheet_of(runs[:1], 5, 1, texts={"mine": [f"mine {i}" for i in range(5)]})
    assert sheet.models == ("vae", "mine") and sheet.runs == (runs[0].id, None)
    with pytest.raises(CeaeError, match="two models are called vae"):
        drawing.sheet_of(runs[:1], 5, 1, texts={"vae": ["x"] * 5})


def test_runs_of_one_family_are_told_apart_by_their_ids(runs):
    assert drawing.names_of(runs) == ["vae", runs[1].id, runs[2].id]
    with pytest.raises(CeaeError, match="a run is named twice"):
        drawing.sheet_of([runs[0], runs[0]], 5, 1)


def test_a_run_that_diverged_has_no_samples(runs):
    diverged = Run(runs[1].folder)
    diverged.status = DIVERGED
    with pytest.raises(CeaeError, match="it diverged, there is no model"):
        drawing.sheet_of([runs[0], diverged], 5, 1)
