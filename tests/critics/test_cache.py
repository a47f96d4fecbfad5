"""Fitted critics: fitted once, found by what they depend on, continued after a kill, never used when damaged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ceae_core import manifest
from ceae_core.critics import cache
from ceae_core.errors import CeaeError
from ceae_core.runs import Store

FILES = ("weights", "record.json")
CPU = torch.device("cpu")


class Killed(BaseException):
    """The process ends here."""


class Fit:
    """Four steps, a checkpoint after each; `dies` is the step that is not done."""

    def __init__(self, dies: int | None = None) -> None:
        self.dies, self.steps = dies, []

    def __call__(self, fitting: cache.Fitting) -> dict[str, bytes | str]:
        state = fitting.load(CPU) or {"sum": torch.zeros(()), "done": 0}
        for step in range(state["done"], 4):
            if step == self.dies:
                raise Killed
            self.steps.append(step)
            state = {"sum": state["sum"] + step, "done": step + 1}
            fitting.save(state, step + 1)
        return {"weights": bytes([int(state["sum"])]), "record.json": "{}\n"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def obtain(fit, store: Store, name: str = "toy", version: int = 1, **parameters) -> Path:
    return cache.obtain(name, version, {"size": 3, **parameters}, FILES, fit, store)


def check_whole(folder: Path) -> None:
    assert (folder / "weights").read_bytes() == bytes([6])
    assert sorted(path.name for path in folder.iterdir()) == ["MANIFEST.json", "record.json", "spec.json", "weights"]


def test_a_critic_is_fitted_once_and_says_what_it_is(store):
    fit = Fit()
    folder = obtain(fit, store)
    assert folder.parent == store.root / "critics" and folder.name.startswith("toy-")
    check_whole(folder)
    assert json.loads((folder / "spec.json").read_text()) == {
        "id": folder.name, "name": "toy", "version": 1, "parameters": {"size": 3}}
    assert obtain(Fit(dies=0), store) == folder and fit.steps == [0, 1, 2, 3]
    assert store.ids() == []                                            # no run, to whom looks for runs


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": 2}, {"size": 4}, {"seed": 1}])
def test_name_version_and_parameters_make_another_critic(store, change):
    fit = Fit()
    assert obtain(fit, store) != obtain(fit, store, **change)
    assert fit.steps == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("dies", [0, 1, 3])
def test_a_killed_fit_goes_on_from_its_last_checkpoint(store, dies):
    with pytest.raises(Killed):
        obtain(Fit(dies), store)
    fit = Fit()
    check_whole(obtain(fit, store))
    assert fit.steps == [0, 1, 2, 3][dies:]


@pytest.mark.parametrize("call", range(9))
def test_killed_at_any_write_it_is_whole_in_the_end(store, call, monkeypatch):
    """spec, manifest, then state and manifest of each step in the store, then the files and the last manifest."""
    calls = iter(range(100))

    def dying(module, name):
        original = getattr(module, name)

        def write(*arguments):
            if next(calls) == call:
                raise Killed
            return original(*arguments)
        monkeypatch.setattr(module, name, write)
    with monkeypatch.context() as monkeypatch, pytest.raises(Killed):
        dying(cache, "write_atomic")
        dying(manifest, "write")
        obtain(Fit(), store)
    check_whole(obtain(Fit(), store))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["weights", "record.json", "spec.json", "MANIFEST.json"])
@pytest.mark.parametrize("damage", [flip, Path.unlink, lambda path: path.write_bytes(b"")],
                         ids=["flipped", "missing", "empty"])
def test_damage_is_said_and_fitted_again(store, capsys, monkeypatch, name, damage):
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    folder = obtain(Fit(), store)
    damage(folder / name)
    fit = Fit()
    check_whole(obtain(fit, store))
    said = capsys.readouterr().err
    assert fit.steps == [0, 1, 2, 3] and f"critic {folder.name}" in said and "fitting it again" in said
    obtain(Fit(dies=0), store)                                          # it is whole again


def test_a_manifest_without_a_file_of_the_critic_is_damage(store):
    folder = obtain(Fit(), store)
    manifest.write(folder, manifest.COMPLETE, ["spec.json", "weights"])
    fit = Fit()
    check_whole(obtain(fit, store))
    assert fit.steps


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_checkpoint_that_is_none_is_said_and_the_fit_begins_anew(store, capsys, monkeypatch, content):
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    with pytest.raises(Killed):
        obtain(Fit(dies=2), store)
    folder, = (store.root / "critics").glob("toy-*")
    (folder / "state-000000002.pt").write_bytes(content)
    manifest.write(folder, manifest.TRAINING, ["spec.json", "state-000000002.pt"])
    fit = Fit()
    check_whole(obtain(fit, store))
    assert fit.steps == [0, 1, 2, 3] and "state-000000002.pt is not a checkpoint" in capsys.readouterr().err


def test_a_fit_that_fails_leaves_no_critic(store):
    def fail(fitting):
        raise CeaeError("the text is too short")
    with pytest.raises(CeaeError, match="too short"):
        obtain(fail, store)
    check_whole(obtain(Fit(), store))


def test_a_file_where_the_critic_should_be(store):
    folder = obtain(Fit(), store)
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(CeaeError, match="cannot be made a folder"):
        obtain(Fit(), store)


def test_a_second_process_waits_for_the_first(store, tmp_path):
    code = ("import time\nfrom pathlib import Path\nfrom ceae_core.critics import cache\n"
            f"from ceae_core.runs import Store\nlog = Path({str(tmp_path / 'log')!r})\n"
            "def fit(fitting):\n"
            "    with log.open('a') as file:\n        file.write('fitted\\n')\n"
            "    time.sleep(0.5)\n    return {'weights': b'w'}\n"
            f"print(cache.obtain('toy', 1, {{}}, ('weights',), fit, Store({str(store.root)!r})) / 'weights')")
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in started:
        assert Path(process.communicate(timeout=120)[0].strip()).read_bytes() == b"w"
    assert (tmp_path / "log").read_text() == "fitted\n"
