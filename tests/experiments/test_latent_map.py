"""Maps of runs: which sentences, which classes, what is kept; and how a page shows them."""

import numpy as np
import pytest

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.experiments import latent_map, probe
from ceae_core.measure import maps as layout
from ceae_core.report import maps


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run("ae")


@pytest.fixture(scope="module")
def found(run, store):
    return maps.of([run], sentences=40, store=store)


def test_the_first_test_sentences_with_their_classes(found, run) -> None:
    made = found["ae"]
    test = run.spec.load_corpus().splits["test"]
    assert [made["classes"][kind] for kind in made["kinds"]] == test.labels["sentiment"][:40].tolist()
    codes = probe.codes(run, test.sentences[:40], False, "cpu")
    expected = layout.describe(codes, np.array(made["kinds"]), run.spec.seed)
    np.testing.assert_allclose(made["places"]["PCA"], expected["places"]["PCA"], atol=2e-3)
    assert made["silhouette"] == pytest.approx(expected["silhouette"], abs=1e-3)


def test_it_is_kept_and_found_by_what_was_asked(found, run, store) -> None:
    again, = latent_map.obtain([run], sentences=40, store=store)
    assert again["result"] == found["ae"]
    other, = latent_map.obtain([run], sentences=30, label="style", store=store)
    assert other["id"] != again["id"] and other["result"]["label"] == "style" and len(other["result"]["kinds"]) == 30


def test_runs_without_codes(store, tiny_run) -> None:
    model = tiny_run("lstm-lm")
    with pytest.raises(CeaeError, match="no codes"):
        latent_map.obtain([model], sentences=40, store=store)


def test_on_a_page(found) -> None:
    two = {"ae": found["ae"], "ceae": found["ae"]}
    picture = maps.picture(two)
    assert [ax.get_title(loc="left") for ax in picture.figure.axes] == ["ae", "ceae", "", ""]
    assert [ax.get_ylabel() for ax in picture.figure.axes] == ["PCA", "", "t-SNE", ""]
    drawn = [line for ax in picture.figure.axes for line in ax.get_lines()]
    assert sum(len(line.get_xdata()) for line in drawn) == 4 * 40 and len({line.get_color() for line in drawn}) == 2
    assert picture._repr_png_().startswith(b"\x89PNG")
    row = maps.table(two, "caption", "name").rows[1]
    assert row["codes of"] == "ceae" and row["silhouette | t-SNE"] == found["ae"]["silhouette"]["t-SNE"]
    assert row["accuracy by neighbours (%) | codes"] == found["ae"]["neighbour_accuracy_percent"]["codes"]
    points = maps.data(two, "maps").table.rows
    assert len(points) == 2 * 2 * 40 and points[0]["sentiment"] in ("neg", "pos")


def test_recorded_maps_have_the_names_of_their_runs(found, run, monkeypatch) -> None:
    kept = {"parameters": {"run_id": run.id}, "result": found["ae"]}
    monkeypatch.setattr(experiments, "recorded", lambda name: [kept] if name == latent_map.NAME else [])
    monkeypatch.setattr(maps.records, "corpora", lambda: ["oracle"])
    monkeypatch.setattr(maps, "load_recorded", lambda corpus, scale: [maps.Result.of(run)])
    assert maps.recorded("oracle", "smoke") == {"ae": found["ae"]} and maps.recorded("ptb", "smoke") == {}
    assert list(maps.ordered({"vae": 1, "ceae (x)": 2, "ae": 3}, ["ceae", "ae"])) == ["ceae (x)", "ae"]
