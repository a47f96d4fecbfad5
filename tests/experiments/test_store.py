"""Results of experiments: computed once, found by what they depend on, never trusted when damaged."""

import json
import subprocess
import sys

import pytest

from ceae_core import experiments
from ceae_core.errors import CeaeError
from ceae_core.experiments import identity, known, obtain, obtain_each, record, recorded
from ceae_core.experiments.clusters import train
from ceae_core.runs import Store


class Counted:
    """A computation that counts how often it ran."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *, power: int, base: float = 2.0) -> dict:
        self.times += 1
        return {"value": base ** power, "steps": (1, 2)}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def compute() -> Counted:
    return Counted()


def only_file(store: Store):
    path, = (store.root / "experiments").glob("*.json")
    return path


def test_a_result_is_computed_once_and_then_read(store, compute):
    first = obtain("powers", compute, {"power": 3}, store=store)
    again = obtain("powers", compute, {"power": 3}, store=store)
    assert compute.times == 1 and again == first
    assert first["result"] == {"value": 8.0, "steps": [1, 2]}           # as it reads from the file, also the first time
    assert first["parameters"] == {"power": 3} and first["id"] == identity("powers", 1, {"power": 3})
    assert {"torch", "device", "python"} <= set(first["environment"])


@pytest.mark.parametrize("change", [{"name": "roots"}, {"version": 2}, {"parameters": {"power": 4}},
                                    {"parameters": {"power": 3, "base": 2.0}}])
def test_name_version_and_parameters_make_another_result(store, compute, change):
    usual = {"name": "powers", "parameters": {"power": 3}, "version": 1}
    for wanted in (usual, usual | change):
        obtain(wanted["name"], compute, wanted["parameters"], version=wanted["version"], store=store)
    assert compute.times == 2


def test_identity_knows_no_order_and_reads_well():
    assert identity("a", 1, {"x": 1, "y": [2]}) == identity("a", 1, {"y": [2], "x": 1})
    name, digits = identity("two-words", 1, {}).rsplit("-", 1)
    assert name == "two-words" and len(digits) == 12


@pytest.mark.parametrize("damage", [
    lambda text: text[:-20], lambda text: "", lambda text: text.replace('"power": 3', '"power": 2'),
    lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "result"})],
    ids=["cut", "empty", "other parameters", "no result"])
def test_a_damaged_file_is_computed_again_and_said(store, compute, capsys, damage, monkeypatch):
    monkeypatch.delenv("CEAE_PROGRESS_FILE", raising=False)
    first = obtain("powers", compute, {"power": 3}, store=store)
    path = only_file(store)
    path.write_text(damage(path.read_text()))
    assert obtain("powers", compute, {"power": 3}, store=store) == first and compute.times == 2
    said = capsys.readouterr().err
    assert str(path) in said and "computing it again" in said
    obtain("powers", compute, {"power": 3}, store=store)
    assert compute.times == 2                                           # the file is whole again


def test_a_computation_that_fails_leaves_no_result(store, compute):
    with pytest.raises(TypeError):
        obtain("powers", compute, {"exponent": 3}, store=store)
    assert not list((store.root / "experiments").glob("*.json"))


def test_a_second_process_waits_for_the_first(store, tmp_path):
    code = (f"import time\nfrom pathlib import Path\nfrom ceae_core.experiments import obtain\n"
            f"from ceae_core.runs import Store\nlog = Path({str(tmp_path / 'log')!r})\n"
            "def compute(power):\n"
            "    with log.open('a') as file:\n        file.write('computed\\n')\n"
            "    time.sleep(0.5)\n    return {'value': 2 ** power}\n"
            f"print(obtain('powers', compute, {{'power': 3}}, store=Store({str(store.root)!r}))['result']['value'])")
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].strip() for process in started] == ["8", "8"]
    assert (tmp_path / "log").read_text() == "computed\n"


def test_several_are_computed_side_by_side_and_come_in_order(store):
    wanted = [{"model": "vae", "categories": k, "steps": 1, "lr": 0.1, "seeds": [1], "log_every": 1, "batch": 4,
               "evaluated": 4} for k in (4, 2, 3)]
    results = obtain_each("clusters", train, wanted, store=store, workers=2)        # in two processes of their own
    assert [content["parameters"] for content in results] == wanted
    assert [content["result"] for content in results] == [train(**parameters) for parameters in wanted]
    assert obtain_each("clusters", None, wanted, store=store) == results


def test_only_what_is_missing_goes_to_other_processes(store, compute, monkeypatch):
    sent = []

    class Pool:
        def __init__(self, workers, mp_context):
            sent.append(workers)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def map(self, function, parameters):
            sent.extend(parameters)
            return map(function, parameters)

    monkeypatch.setattr(experiments, "ProcessPoolExecutor", Pool)
    wanted = [{"power": power} for power in (3, 1, 2)]
    obtain_each("powers", compute, wanted[1:2], store=store, workers=4)             # a single one needs no company
    assert sent == [] and compute.times == 1
    results = obtain_each("powers", compute, wanted, store=store, workers=4)
    assert sent == [2, wanted[0], wanted[2]] and compute.times == 3
    assert [content["result"]["value"] for content in results] == [8.0, 2.0, 4.0]


def test_recorded_results_come_back_sorted_and_by_their_whole_name(store, compute, tmp_path):
    contents = [obtain("powers", compute, {"power": power}, store=store) for power in (5, 3, 4)]
    other = obtain("powers-of-two", compute, {"power": 3}, store=store)
    for content in (*contents, other):
        assert record(content, tmp_path / "results").name == f"{content['id']}.json"
    assert recorded("powers", tmp_path / "results") == sorted(contents, key=lambda content: content["id"])
    assert recorded("powers-of-two", tmp_path / "results") == [other]
    assert recorded("roots", tmp_path / "results") == [] == recorded("powers", tmp_path / "nowhere")


def test_a_damaged_record_is_named(store, compute, tmp_path):
    path = record(obtain("powers", compute, {"power": 3}, store=store), tmp_path)
    path.write_text(path.read_text().replace("8.0", "8.0.0"))
    with pytest.raises(CeaeError, match=path.name):
        recorded("powers", tmp_path)


def test_what_is_known_is_kept_here_or_recorded(store, compute, tmp_path):
    results = tmp_path / "results"
    assert known("powers", {"power": 3}, store=store, results=results) is None
    content = obtain("powers", compute, {"power": 3}, store=Store(tmp_path / "there"))
    record(content, results)
    assert known("powers", {"power": 3}, store=store, results=results) == content
    assert known("powers", {"power": 3}, version=2, store=store, results=results) is None
    own = obtain("powers", lambda power: {"value": power}, {"power": 3}, store=store)
    assert known("powers", {"power": 3}, store=store, results=results) == own
