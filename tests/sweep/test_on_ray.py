"""The same sweeps on Ray; skipped where it is not installed (the extra `sweep`)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ceae_core.errors import NotRun
from ceae_core.execute import obtain
from ceae_core.runs import Store
from ceae_core.spec import resolve
from ceae_core.sweep import driver
from ceae_core.sweep.on_ray import OnRay
from ceae_core.sweep.policy import BAD, DIVERGED, DONE

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"batch_size": 64, "precision": "fp32", "iw_samples": 2, "iw_sentences": 4}


@pytest.fixture
def small(reviews):
    def resolved(family="vae", seed=1, corpus=reviews, **changes):
        return resolve(family, str(corpus), "smoke", seed, set={**SMALL, **changes})
    return resolved


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NotRun, match=r"pip install 'ceae-book\[sweep\]'"):
        OnRay(Store(tmp_path), "cpu")


@pytest.fixture
def ray(monkeypatch):
    found = pytest.importorskip("ray")
    paths = [str(REPOSITORY), os.path.dirname(os.path.dirname(found.__file__))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    yield found
    found.shutdown()


def test_the_same_runs_as_here_and_one_that_cannot_be(small, tmp_path, ray):
    text = tmp_path / "gone.txt"
    text.write_text("".join(f"a b {i}\n" for i in range(50)))
    poison, specs = small(corpus=text), [small("vae"), small("ceae"), small(lr=1e9)]
    text.unlink()
    engine = OnRay(Store(tmp_path / "ray"), "cpu", cpus=2)
    assert engine.slots == 2
    found = {each.run_id: each for each in driver.train([*specs, poison], engine)}
    assert [found[spec.id].ending.how for spec in [*specs, poison]] == [DONE, DONE, DIVERGED, BAD]
    assert str(text) in found[poison.id].why
    for spec in specs[:2]:
        here = obtain(spec, Store(tmp_path / "here"), device="cpu")
        there = engine.store.find(spec.id)
        assert here.metrics == there.metrics and here.history == there.history


def ray_workers() -> list[int]:
    """Processes of Ray that train; they show the task's name."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ray::train" in line]


def test_a_killed_worker_is_followed_by_one_that_continues(small, tmp_path, ray):
    spec, killed = small(batch_size=8, epochs=12), []
    engine = OnRay(Store(tmp_path / "ray"), "cpu", cpus=1)

    def kill(state):
        if not killed and list(engine.store.folder(spec.id).glob("state-*.pt")) and (pids := ray_workers()):
            killed.extend(pids)
            os.kill(pids[0], signal.SIGKILL)
    found, = driver.train([spec], engine, kill)
    assert killed and found.is_good and found.attempts == 2
    assert engine.store.find(spec.id).metrics == obtain(spec, Store(tmp_path / "whole"), device="cpu").metrics


def test_a_node_that_dies_takes_no_run_with_it(small, tmp_path, ray):
    """A simulated cluster of two nodes, of which one is killed in the middle."""
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    specs, gone = [small(seed=seed, batch_size=8, epochs=12) for seed in (1, 2)], []
    try:
        engine = OnRay(Store(tmp_path / "ray"), "cpu", address=cluster.address)
        assert engine.slots == 2

        def kill(state):
            there = [list(engine.store.folder(spec.id).glob("state-*.pt")) for spec in specs]
            if not gone and all(there):
                gone.append(node)
                cluster.remove_node(node, allow_graceful=False)
        found = driver.train(specs, engine, kill)
        assert gone and all(each.is_good for each in found) and sorted(each.attempts for each in found)[-1] >= 2
    finally:
        cluster.shutdown()
    for spec in specs:
        assert Store(tmp_path / "ray").find(spec.id).metrics == obtain(
            spec, Store(tmp_path / "whole"), device="cpu").metrics


def test_the_command_and_sigterm(reviews, tmp_path, ray):
    file, runs = tmp_path / "grid.toml", tmp_path / "r"
    values = ", ".join(f"{k} = {json.dumps(v)}" for k, v in {**SMALL, "batch_size": 8, "epochs": 2000}.items())
    file.write_text(f'scale = "smoke"\nfamilies = ["vae"]\ncorpora = ["{reviews}"]\nset = {{ {values} }}\n')
    process = subprocess.Popen([sys.executable, "-m", "ceae_core", "sweep", str(file), "--engine", "ray", "--workers",
                                "1", "--runs", str(runs), "--device", "cpu"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(runs.glob("*/state-*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err.decode()
    run, = runs.glob("vae-*")
    with Store(runs).lease(run.name, wait=False):               # nobody has it any more
        assert list(run.glob("state-*.pt"))
