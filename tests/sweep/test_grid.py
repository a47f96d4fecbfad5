"""The file of a sweep: what runs it means, and what is wrong with it."""

import shlex

import pytest

from ceae_core import zoo
from ceae_core.book.layout import here
from ceae_core.errors import CeaeError
from ceae_core.spec import resolve
from ceae_core.sweep.grid import jobs

FILE = """
scale = "smoke"
families = ["vae", "ceae"]
corpora = ["oracle"]
seeds = "1-2"
set = { precision = "fp32" }

[[more]]
family = "beta-vae"
seeds = [2, 1, 7, 7]
set = { beta = 0.5, skip = false }
"""


@pytest.fixture
def file(tmp_path):
    def written(text):
        path = tmp_path / "grid.toml"
        path.write_text(text)
        return path
    return written


def test_seeds_are_interleaved_and_changes_add_up(file):
    found = jobs(file(FILE))
    assert [(job.spec.family, job.spec.seed) for job in found] == [
        ("vae", 1), ("ceae", 1), ("beta-vae", 2), ("vae", 2), ("ceae", 2), ("beta-vae", 1), ("beta-vae", 7)]
    assert all(job.spec.settings.precision == "fp32" and job.spec.scale == "smoke" for job in found)
    assert found[2].spec.options["beta"] == 0.5 and found[2].id == resolve(
        "beta-vae", "oracle", "smoke", 2, set={"precision": "fp32", "beta": 0.5}).id


def test_the_printed_command_means_the_same_run(file, ceae, monkeypatch):
    from ceae_core.cli import running
    asked = []
    monkeypatch.setattr("ceae_core.execute.obtain", lambda spec, store, **more: asked.append(spec.id))
    monkeypatch.setattr(running, "_show_run", lambda options, run: 0)
    found = jobs(file(FILE))
    for job in found:
        assert ceae(*shlex.split(shlex.join(job.arguments))).status == 0
    assert asked == [job.id for job in found]


def test_a_run_that_is_meant_twice_is_one(file):
    assert len(jobs(file('scale = "smoke"\nfamilies = ["vae", "vae"]\n[[more]]\nfamily = "vae"\n'))) == 1


def test_all_families(file):
    found = jobs(file('scale = "smoke"\nfamilies = "all"\n[[more]]\nfamily = "vae"\nset = { net = "transformer" }'))
    assert [job.spec.family for job in found] == [*zoo.FAMILIES, "vae"] and found[-1].spec.settings.net == "transformer"


@pytest.mark.parametrize("text, problem", [
    ("families = [", "is no TOML"), ("family = ['vae']", "family: there is no such field; it has scale, families"),
    ("families = []", "there is none, and no"), ("families = 'vae'", "'vae' is neither a list"),
    ("families = ['vea']", r"families\[0\]: there is no family 'vea'"), ("families = [1]", "no family 1"),
    ("families = ['vae']\nscale = 'huge'", "scale: unknown value 'huge'"),
    ("families = ['vae']\nscale = 3", "scale: must be text, not 3"),
    ("families = ['vae']\ncorpora = []", "corpora: must be names"),
    ("families = ['vae']\ncorpora = ['nowhere']", "vae on nowhere: "),
    ("families = ['vae']\nseeds = []", "seeds: must be whole numbers"),
    ("families = ['vae']\nseeds = [true]", "seeds: must be whole numbers"),
    ("families = ['vae']\nseeds = [-1]", "seeds: must be whole numbers"),
    ("families = ['vae']\nseeds = '3-1'", "seeds: '3-1' is no span"),
    ("families = ['vae']\nset = { latnt = 3 }", "vae on oracle: vae has no option 'latnt'; did you mean latent"),
    ("[[more]]\nset = {}", r"more\[0\]: family is missing"), ("more = [3]", r"more\[0\]: must be a table"),
    ("[[more]]\nfamily = 'vae'\nscale = 'smoke'", r"more\[0\].scale: there is no such field"),
])
def test_what_is_wrong_is_named_with_file_and_field(file, text, problem):
    with pytest.raises(CeaeError, match=problem) as caught:
        jobs(file(text))
    assert "grid.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CeaeError, match="none.toml: cannot be read"):
        jobs(tmp_path / "none.toml")


def test_the_sweeps_of_the_project_can_be_read():
    files = sorted((here().root / "sweeps").glob("*.toml"))
    assert "smoke.toml" in [path.name for path in files]
    for path in files:
        if 'corpora = ["oracle"]' in path.read_text():
            assert jobs(path)
