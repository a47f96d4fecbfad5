"""Runs by their specs: loaded, resumed or trained side by side in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ceae_core import execute, hardware
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure, obtain, remeasure
from ceae_core.manifest import COMPLETE, DIVERGED
from ceae_core.runs import Store
from ceae_core.spec import RunSpec, resolve

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = {"batch_size": 64, "precision": "fp32", "iw_samples": 2, "iw_sentences": 4}


@pytest.fixture
def small(reviews: Path) -> Callable[..., RunSpec]:
    """small(family, seed, **changes): a spec that trains in a fraction of a second."""
    def resolved(family: str = "vae", seed: int = 1, corpus: Path = reviews, **changes: object) -> RunSpec:
        return resolve(family, str(corpus), "smoke", seed, set={**SMALL, **changes})
    return resolved


@pytest.fixture
def log(tmp_path: Path, monkeypatch) -> Callable[[], list[tuple[str, str]]]:
    """The lines of CEAE_RUN_LOG so far: (run, action)."""
    path = tmp_path / "runs.log"
    monkeypatch.setenv("CEAE_RUN_LOG", str(path))
    monkeypatch.setenv("CEAE_CHAPTER", "training")

    def read() -> list[tuple[str, str]]:
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        assert all(row["chapter"] == "training" and row["seconds"] >= 0 for row in rows)
        return [(row["run"], row["action"]) for row in rows]
    return read


def test_obtain_trains_once_then_loads(small, log, tmp_path: Path, monkeypatch) -> None:
    spec, store = small("ceae"), Store(tmp_path)
    first = obtain(spec, store, device="cpu")
    monkeypatch.setattr(execute.Training, "run", None)                  # training again would be an error
    second = obtain(spec, store, device="cpu")
    assert first.record == second.record and first.history == second.history
    assert log() == [(spec.id, "trained"), (spec.id, "loaded")]


def test_obtain_says_when_it_resumed(small, log, tmp_path: Path, monkeypatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt
    spec, store = small(), Store(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(execute, "measure", stopped)
        obtain(spec, store, device="cpu")
    spent = store.open(spec.id).checkpoint(torch.device("cpu"))["seconds"]
    assert log() == []
    run = obtain(spec, store, device="cpu")
    assert log() == [(spec.id, "resumed")]
    assert run.record["total_seconds"] >= run.record["train_seconds"] >= round(spent, 2) > 0


def test_the_same_spec_gives_the_same_run_in_another_folder(small, tmp_path: Path) -> None:
    one, two = (obtain(small("bn-vae"), Store(tmp_path / name), device="cpu") for name in "ab")
    assert one.metrics == two.metrics and one.history == two.history and one.samples == two.samples
    other = obtain(small("bn-vae", seed=2), Store(tmp_path / "a"), device="cpu")
    assert other.metrics != one.metrics


def test_threads_of_the_caller_do_not_matter(small, tmp_path: Path) -> None:
    one = obtain(small("vae"), Store(tmp_path / "a"), device="cpu")
    torch.set_num_threads(2)
    try:
        seen, measure = [], execute.measure

        def watched(*arguments, **options):
            seen.append(torch.get_num_threads())
            return measure(*arguments, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(execute, "measure", watched)
            two = obtain(small("vae"), Store(tmp_path / "b"), device="cpu")
            remeasure(two, device="cpu")
        assert seen == [1, 1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert one.metrics == two.metrics and one.history == two.history


def test_divergence_is_kept_and_not_tried_again(small, log, tmp_path: Path, monkeypatch) -> None:
    spec, store = small(lr=1e9), Store(tmp_path)
    run = obtain(spec, store, device="cpu")
    assert run.status == DIVERGED and run.metrics == {} and "not finite" in run.record["reason"]
    monkeypatch.setattr(execute.driver, "train", None)                  # training again would be an error
    assert [r.status for r in ensure([spec, spec], store, device="cpu")] == [DIVERGED, DIVERGED]
    assert log() == [(spec.id, "trained"), (spec.id, "loaded"), (spec.id, "loaded")]
    with pytest.raises(CeaeError, match="diverged, there is no model to measure"):
        remeasure(run, device="cpu")


def test_a_finite_loss_with_infinite_perplexity_has_diverged(small, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ceae_core.measure.likelihood.perplexity", lambda nats, lengths: float("inf"))
    run = obtain(small(), Store(tmp_path), device="cpu")
    assert max(row["valid_rec_nats_per_sentence"] for row in run.history) < float("inf")
    assert run.status == DIVERGED and run.metrics == {} and "ppl_word is not finite" in run.record["reason"]


def test_ensure_trains_what_is_missing_and_names_all_that_fails(small, log, tmp_path: Path) -> None:
    """One good run, one there already, one twice, two without their text; in real processes."""
    store, texts = Store(tmp_path / "runs"), [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in texts:
        path.write_text("".join(f"a b {path.stem} {i}\n" for i in range(50)))
    bad = [small(corpus=path) for path in texts]
    for path in texts:
        path.unlink()
    there, good = small("ae"), small("ceae")
    expected = [obtain(spec, where, device="cpu").metrics
                for spec, where in ((there, store), (good, Store(tmp_path / "other")))]
    with pytest.raises(CeaeError) as failed:
        ensure([good, bad[0], there, good, bad[1]], store, device="cpu", workers=3)
    message = str(failed.value)
    for spec, path in zip(bad, texts, strict=True):
        assert spec.id in message and str(path) in message
    assert good.id not in message and "\n" not in message and "Traceback" not in message

    runs = ensure([good, there, good], store, device="cpu")
    assert [run.spec for run in runs] == [good, there, good]
    assert [run.metrics for run in runs] == [expected[1], expected[0], expected[1]]
    assert [action for run, action in log() if run == good.id] == ["trained", "trained", "loaded", "loaded"]


def test_ensure_waits_for_a_run_in_work_elsewhere(small, log, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(execute.driver, "PATIENCE", 0.2)
    spec, store = small(), Store(tmp_path)
    with store.lease(spec.id):
        waiting = threading.Thread(target=lambda: ensure([spec], store, device="cpu", workers=1))
        waiting.start()
        waiting.join(8)
        assert waiting.is_alive() and store.open(spec.id) is None
    waiting.join(60)
    assert log() == [(spec.id, "trained")]


def test_an_interrupted_ensure_leaves_checkpoints_and_no_orphan(reviews: Path, small, tmp_path: Path) -> None:
    """Real processes: Ctrl-C in the one that calls `ensure`."""
    call = ("import sys; from ceae_core.execute import ensure; from ceae_core.runs import Store; from ceae_core.spec "
            "import RunSpec; ensure([RunSpec.from_json(open(p).read()) for p in sys.argv[2:]], Store(sys.argv[1]), "
            "device='cpu', workers=2)")
    specs, store = [small(seed=s, epochs=2000, batch_size=8) for s in (1, 2)], Store(tmp_path / "runs")
    files = [tmp_path / f"{spec.seed}.json" for spec in specs]
    for spec, path in zip(specs, files, strict=True):
        path.write_text(spec.to_json())
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY),
                                "CEAE_PROGRESS_FILE": str(tmp_path / "progress")}
    parent = subprocess.Popen([sys.executable, "-c", call, str(store.root), *map(str, files)], env=environment,
                              stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not all(list(store.folder(spec.id).glob("state-*.pt")) for spec in specs) or not steps(tmp_path):
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        assert len(processes_of(store)) == 3                        # side by side, and their parent
        parent.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in parent.communicate(timeout=30)[1]
        assert processes_of(store) == []
    finally:
        parent.kill()
    for spec in specs:
        assert store.open(spec.id).checkpoint(torch.device("cpu"))["training"]["counters"]["step"] > 0


def steps(folder: Path) -> bool:
    """Whether the progress file of the caller shows its line."""
    path = folder / "progress"
    return path.exists() and path.read_text().startswith("training · 0 of 2 runs: ")


def processes_of(store: Store) -> list[int]:
    """Processes with the store's path among their arguments."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if str(store.root) in line and " Z" not in line]


# measuring again --------------------------------------------------------------------------------------------------

def test_remeasure_repeats_the_stored_metrics(small, tmp_path: Path) -> None:
    for family in ("vae", "ceae", "lstm-lm"):
        run = obtain(small(family), Store(tmp_path), device="cpu")
        before = {p.name: p.stat().st_mtime_ns for p in run.folder.iterdir()}
        assert remeasure(run, device="cpu") == run.metrics
        assert {p.name: p.stat().st_mtime_ns for p in run.folder.iterdir()} == before
    finer = remeasure(run, iw_samples=3, iw_sentences=6, device="cpu")
    assert finer["iw_sentences"] == 6 and finer["rec_nats_per_sentence"] == run.metrics["rec_nats_per_sentence"]


def test_a_run_and_its_remeasure_take_as_many_steps_of_refinement_as_asked(small, tmp_path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(execute, "measure", lambda *a, iw_refine, **k: asked.append(iw_refine) or {})
    run = obtain(small(iw_refine=7), Store(tmp_path), device="cpu")
    remeasure(run, device="cpu")
    remeasure(run, iw_refine=0, device="cpu")
    assert asked == [7, 7, 0]


@pytest.mark.parametrize(("name", "value", "least"), [("iw_samples", 0, 1), ("iw_sentences", 0, 1),
                                                      ("iw_samples", -1, 1), ("iw_refine", -1, 0)])
def test_remeasure_refuses_counts_that_are_too_small(name: str, value: int, least: int, small, tmp_path: Path) -> None:
    run = obtain(small(), Store(tmp_path), device="cpu")
    with pytest.raises(CeaeError, match=f"{name}: must be at least {least}"):
        remeasure(run, device="cpu", **{name: value})


@pytest.mark.parametrize("form", ["file", "folder", "three files"])
def test_the_text_may_move_but_not_change(form: str, reviews: Path, tmp_path: Path) -> None:
    lines, old, new = reviews.read_text().splitlines(keepends=True), tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "all.txt").write_text("".join(lines))
        for split, part in (("train", lines[:200]), ("valid", lines[200:220]), ("test", lines[220:])):
            (folder / f"{split}.txt").write_text("".join(part))
    source = {"file": {"corpus": str(old / "all.txt")}, "folder": {"corpus": str(old)},
              "three files": {split: old / f"{split}.txt" for split in ("train", "valid", "test")}}[form]
    spec = resolve("vae", scale="smoke", set=SMALL, **source)
    run = obtain(spec, Store(tmp_path / "runs"), device="cpu")
    for path in [*old.iterdir()]:
        path.unlink()
    old.rmdir()
    with pytest.raises(CeaeError, match="old"):
        remeasure(run, device="cpu")
    assert remeasure(run, data=str(new), device="cpu") == run.metrics
    changed = new / ("all.txt" if form == "file" else "test.txt")
    changed.write_text("".join(reversed(lines[:230])))
    with pytest.raises(CeaeError, match="has changed since the run was specified"):
        remeasure(run, data=str(new), device="cpu")


def test_a_moved_corpus_folder_keeps_the_id(reviews: Path, tmp_path: Path, monkeypatch) -> None:
    """Nothing of the machine is in a run's identity: not the paths, not the working directory, not the device."""
    ids = set()
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "reviews.txt").write_bytes(reviews.read_bytes())
        monkeypatch.chdir(folder)
        ids |= {resolve("ceae", path, "smoke", set=SMALL).id for path in ("reviews.txt", str(folder / "reviews.txt"))}
        ids.add(resolve("ceae", "reviews.txt", "smoke", set=SMALL, data=folder).id)
    assert len(ids) == 1
    assert resolve("ceae", "reviews.txt", "smoke", set=SMALL | {"threads": 2}).id not in ids


@pytest.mark.parametrize("source", [{"corpus": "text.txt"}, dict.fromkeys(("train", "valid", "test"), "text.txt")])
def test_the_source_of_a_run_survives_a_change_of_folder(source: dict, reviews: Path, tmp_path: Path,
                                                         monkeypatch) -> None:
    (tmp_path / "text.txt").write_bytes(reviews.read_bytes())
    monkeypatch.chdir(tmp_path)
    spec = resolve("vae", scale="smoke", set=SMALL, **source)
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert RunSpec.from_json(spec.to_json()).load_corpus().sha256 == spec.corpus_sha256


def test_environment_names_what_a_number_rests_on() -> None:
    found = hardware.environment(torch.device("cpu"))
    assert found["device_type"] == "cpu" and found["torch"] == torch.__version__ and all(found.values())


def test_status_complete_has_all_metrics(small, tmp_path: Path) -> None:
    run = obtain(small("vae"), Store(tmp_path), device="cpu")
    absent = {name for name, value in run.metrics.items() if value is None}
    assert run.status == COMPLETE and all(any(mark in name for mark in ("dual", "exact", "dv")) for name in absent)
