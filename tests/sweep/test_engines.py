"""Engines with real trainings: the same numbers from each, whatever is killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ceae_core import workers
from ceae_core.execute import obtain
from ceae_core.runs import Store
from ceae_core.spec import resolve
from ceae_core.sweep import driver
from ceae_core.sweep.engines import Processes, Serial
from ceae_core.sweep.policy import BAD, BUSY, DIED, DIVERGED, DONE, MEMORY
from ceae_core.workers import Worker

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"batch_size": 64, "precision": "fp32", "iw_samples": 2, "iw_sentences": 4}
LONG = {"batch_size": 8, "epochs": 12}                      # some seconds


@pytest.fixture
def small(reviews):
    """small(family, seed, **changes): a spec that trains in a fraction of a second."""
    def resolved(family="vae", seed=1, corpus=reviews, **changes):
        return resolve(family, str(corpus), "smoke", seed, set={**SMALL, **changes})
    return resolved


def ends(found) -> dict[str, str]:
    return {each.run_id: each.ending.how for each in found}


def test_serial_and_processes_give_the_same_runs(small, tmp_path):
    specs = [small("vae"), small("ceae")]
    engines = Serial(Store(tmp_path / "a"), "cpu"), Processes(Store(tmp_path / "b"), "cpu", 2)
    for engine in engines:
        assert set(ends(driver.train(specs, engine)).values()) == {DONE}
    for spec in specs:
        one, two = (engine.store.find(spec.id) for engine in engines)
        assert one.metrics == two.metrics and one.history == two.history and one.samples == two.samples


@pytest.mark.parametrize("make", [lambda store: Serial(store, "cpu"), lambda store: Processes(store, "cpu", 2)])
def test_a_run_that_cannot_be_and_one_that_diverges_leave_the_others_alone(small, tmp_path, make):
    text = tmp_path / "gone.txt"
    text.write_text("".join(f"a b {i}\n" for i in range(50)))
    poison, wild, good = small(corpus=text), small(lr=1e9), small("ae")
    text.unlink()
    found = driver.train([poison, wild, good], make(Store(tmp_path / "runs")))
    assert ends(found) == {poison.id: BAD, wild.id: DIVERGED, good.id: DONE}
    why = {each.run_id: each for each in found}
    assert str(text) in why[poison.id].why and why[poison.id].attempts == 1 and "not finite" in why[wild.id].why


def test_a_killed_worker_is_followed_by_one_that_continues(small, tmp_path):
    spec, store = small(**LONG), Store(tmp_path / "runs")
    engine, killed = Processes(store, "cpu", 1), []

    def kill(state):
        if len(killed) < 2 and list(store.folder(spec.id).glob("state-*.pt")) and spec.id in engine.workers:
            killed.append(engine.workers[spec.id].process.pid)
            os.kill(killed[-1], signal.SIGKILL)
            engine.workers[spec.id].process.wait()
    found, = driver.train([spec], engine, kill)
    assert found.is_good and found.attempts == 3 and len(set(killed)) == 2
    whole = obtain(spec, Store(tmp_path / "whole"), device="cpu")
    assert store.find(spec.id).metrics == whole.metrics and store.find(spec.id).history == whole.history


def test_a_worker_that_dies_again_and_again_is_given_up(small, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ROOT", str(tmp_path))         # its package kills whoever imports it
    (tmp_path / "ceae_core").mkdir()
    (tmp_path / "ceae_core" / "__init__.py").write_text("")
    (tmp_path / "ceae_core" / "__main__.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.chdir(tmp_path)
    found, = driver.train([small()], Processes(Store(tmp_path / "runs"), "cpu", 1))
    assert found.ending.how == DIED and found.attempts == 4 and "killed by signal 9" in found.why


class Ended(Worker):
    """A process that has ended in some way, in place of a training."""

    script = ""

    def __init__(self, spec, store, device):
        self.spec, self.log = spec, store.root / "log"
        store.root.mkdir(exist_ok=True)
        self.killed_before = workers.killed_for_memory()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([sys.executable, "-S", "-c", self.script], stdout=log, stderr=log)
        self.process.wait()


@pytest.mark.parametrize("script, how, why", [
    ("print('much'); print('ceae: no such file'); raise SystemExit(2)", BAD, "no such file"),
    ("raise SystemExit(3)", BAD, "its process left with exit status 3"),
    ("raise SystemExit(75)", DIED, "exit status 75"), ("raise SystemExit(76)", BUSY, "exit status 76"),
    ("import os; os.kill(os.getpid(), 9)", DIED, "its process was killed by signal 9; the same call continues it"),
    ("raise MemoryError", MEMORY, "MemoryError"),
    ("raise RuntimeError('CUDA out of memory. Tried to allocate')", MEMORY, "CUDA out of memory"),
    ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')", MEMORY, "can't allocate")])
def test_what_the_end_of_a_process_means(small, tmp_path, monkeypatch, script, how, why):
    monkeypatch.setattr(Ended, "script", script)
    engine, spec = Processes(Store(tmp_path / "runs"), "cpu", 1), small()
    engine.workers[spec.id] = Ended(spec, engine.store, "cpu")
    (run_id, ending), = engine.ended()
    assert (run_id, ending.how) == (spec.id, how) and why in ending.why and engine.ended() == []


def test_a_process_that_the_system_kills_for_memory(small, tmp_path, monkeypatch):
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom_kill 3\n")
    monkeypatch.setattr(workers, "EVENTS", events)
    monkeypatch.setattr(Ended, "script", "import os; os.kill(os.getpid(), 9)")
    worker = Ended(small(), Store(tmp_path / "runs"), "cpu")
    assert not worker.lacked_memory
    events.write_text("low 0\noom_kill 4\n")
    assert worker.lacked_memory
    monkeypatch.setattr(workers, "EVENTS", tmp_path / "none")
    assert workers.killed_for_memory() == 0


def test_progress_of_a_worker(tmp_path):
    def permille(text):
        (tmp_path / "p").write_bytes(text if isinstance(text, bytes) else text.encode())
        return workers.permille(tmp_path / "p")
    assert permille("train vae-x · epoch 1: Rec 3.20 KL 1.00: 45% · 12 s left") == 450
    assert permille("measure x: 100% · 0 s left") == 999
    assert permille("") == permille("train x: no number") == permille(b"x: \xc2") == 0
    assert workers.permille(tmp_path / "none") == 0


def test_an_interrupt_ends_all_processes_with_checkpoints(small, tmp_path):
    specs, store = [small(seed=s, batch_size=8, epochs=2000) for s in (1, 2, 3)], Store(tmp_path / "runs")
    engine, seen = Processes(store, "cpu", 2), []

    def watch(state):
        seen[:] = [worker.process for worker in engine.workers.values()]
        if all(list(store.folder(spec.id).glob("state-*.pt")) for spec in specs[:2]):
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        driver.train(specs, engine, watch)
    assert len(seen) == 2 and all(process.returncode == workers.EXIT_STOPPED for process in seen)


# the command ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def grid(reviews, tmp_path):
    """grid(families, seeds, **changes): a sweep's file on the small text."""
    def written(families, seeds=(1,), **changes):
        path = tmp_path / "grid.toml"
        values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in {**SMALL, **changes}.items())
        path.write_text(f'scale = "smoke"\nfamilies = {json.dumps(families)}\ncorpora = ["{reviews}"]\n'
                        f"seeds = {list(seeds)}\nset = {{ {values} }}\n")
        return path
    return written


def test_a_sweep_trains_what_is_missing_and_lists_what_failed(ceae, grid, tmp_path):
    first = ceae("sweep", grid(["vae"]), "--engine", "serial", "--runs", tmp_path / "r", "--json")
    assert first.status == 0 and first.json["trained"] == 1
    second = ceae("sweep", grid(["vae", "ae"], lr=1e9), "--runs", tmp_path / "r", "--json")
    assert second.status == 1 and [row["status"] for row in second.json["results"]] == ["diverged"] * 2
    assert second.json["failed"] == 2 and "not finite" in second.err
    again = ceae("sweep", grid(["vae", "ae"]), "--runs", tmp_path / "r", "--json")
    assert again.status == 0 and (again.json["trained"], again.json["there_before"]) == (1, 1)
    text = ceae("sweep", grid(["vae", "ae"]), "--runs", tmp_path / "r")
    assert text.out == "2 runs: 0 trained, 2 there before, 0 failed\n"


def test_commands_for_a_cluster_are_printed_for_what_is_missing(ceae, grid, tmp_path):
    file = grid(["vae", "ae"])
    ceae("sweep", grid(["vae"]), "--engine", "serial", "--runs", tmp_path / "r")
    said = ceae("sweep", grid(["vae", "ae"]), "--engine", "print", "--runs", tmp_path / "r")
    line, = said.out.splitlines()
    assert line.startswith("ceae train ae --corpus ") and f"--runs {tmp_path / 'r'}" in line and file.exists()
    found = json.loads(ceae("sweep", file, "--engine", "print", "--runs", tmp_path / "r", "--json").out)
    assert found["command"][:3] == ["ceae", "train", "ae"] and found["run"].startswith("ae-")


def test_false_options(ceae, grid, tmp_path):
    assert "--workers must be at least 1, not 0" in ceae("sweep", grid(["vae"]), "--workers", 0).last
    assert "cannot be read" in ceae("sweep", tmp_path / "none.toml").last


def sweep(file, runs, *more) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen([sys.executable, "-m", "ceae_core", "sweep", str(file), "--runs", str(runs), "--json",
                             "--device", "cpu", *more], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True)


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_driver_and_its_successor(grid, small, tmp_path):
    """The driver dies, its workers live on; the next driver waits for them and does the rest."""
    file, runs = grid(["vae", "ceae"], **LONG), tmp_path / "r"
    first = sweep(file, runs)
    wait_for(lambda: list(runs.glob("*/state-*.pt")), first)
    first.kill()
    first.wait()
    second = sweep(file, runs)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err.decode()
    found = json.loads(out)
    assert found["failed"] == 0 and {row["status"] for row in found["results"]} == {"done"}
    expected = obtain(small("ceae", **LONG), Store(tmp_path / "whole"), device="cpu")
    assert Store(runs).find(expected.id).metrics == expected.metrics


def test_two_drivers_on_one_grid_share_it(grid, tmp_path):
    file, runs = grid(["vae", "ceae"], batch_size=8, epochs=6), tmp_path / "r"
    drivers = [sweep(file, runs, "--workers", "1") for _ in range(2)]
    found = []
    for process in drivers:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        found.append(json.loads(out))
    assert all(each["failed"] == 0 for each in found)
    assert len(list(runs.glob("*/metrics.json"))) == 2 and all(len(each["results"]) == 2 for each in found)


def test_sigterm_to_the_driver_stops_everything(grid, tmp_path):
    file, runs = grid(["vae"], (1, 2), batch_size=8, epochs=2000), tmp_path / "r"
    process = sweep(file, runs)
    wait_for(lambda: len(list(runs.glob("*/state-*.pt"))) == 2, process)
    threading.Timer(0.1, lambda: process.send_signal(signal.SIGTERM)).start()
    process.communicate(timeout=60)
    assert process.returncode == 75
    listed = subprocess.run(["ps", "-ww", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if str(runs) in line and not line.startswith("Z")]
