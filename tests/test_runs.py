"""The run store: whole files or none, nothing damaged is ever used, nobody's other folders are touched."""

import io
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ceae_core import execute, manifest
from ceae_core.cli import main
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.files import make_folder, sha256, write_atomic
from ceae_core.manifest import COMPLETE, FINAL, TRAINING, Corrupt
from ceae_core.runs import Busy, Run, Store
from ceae_core.spec import RunSpec, resolve
from ceae_core.zoo import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = {"batch_size": 64, "precision": "fp32", "iw_samples": 2, "iw_sentences": 4}


class Stopped(Exception):
    """Raised by a test in the middle of a run."""


@pytest.fixture(scope="module")
def spec(reviews: Path) -> RunSpec:
    return resolve("bn-vae", str(reviews), "smoke", set=SMALL)


@pytest.fixture(scope="module")
def complete(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return obtain(spec, Store(tmp_path_factory.mktemp("complete")), device="cpu")


@pytest.fixture(scope="module")
def partial(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run, stopped before its second epoch ends."""
    store = Store(tmp_path_factory.mktemp("partial"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(execute.Training, "_end_epoch", stopping_at(execute.Training._end_epoch, 1))
        obtain(spec, store, device="cpu", checkpoint_seconds=0)
    return store.open(spec.id)


def stopping_at(original: Callable, call: int) -> Callable:
    calls = iter(range(1000))

    def stopping(*arguments):
        if next(calls) == call:
            raise Stopped
        return original(*arguments)
    return stopping


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Run], Store]:
    """copied(run) -> a store of its own with a copy of the run."""
    def copy(run: Run) -> Store:
        shutil.copytree(run.folder, tmp_path / "runs" / run.id)
        return Store(tmp_path / "runs")
    return copy


# damage -----------------------------------------------------------------------------------------------------------

def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [flip, truncate, empty, grow, Path.unlink, replace_by_folder]


def names(damages: list) -> list[str]:
    return [damage.__name__ for damage in damages]


def check_redone(store: Store, spec: RunSpec, expected: Run, problem: str, capsys: pytest.CaptureFixture) -> None:
    """`obtain` says once what is wrong, keeps the damaged folder, and gets to the same result."""
    capsys.readouterr()
    again = obtain(spec, store, device="cpu")
    said = [line for line in capsys.readouterr().err.splitlines() if "quarantine" in line]
    assert len(said) == 1 and problem in said[0] and spec.id in said[0], said
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert again.status == COMPLETE and again.metrics == expected.metrics and again.history == expected.history
    assert sha256(again.folder / "model.safetensors") == sha256(expected.folder / "model.safetensors")


@pytest.mark.parametrize("damage", DAMAGES, ids=names(DAMAGES))
@pytest.mark.parametrize("name", FINAL)
def test_damage_of_a_complete_run_is_noticed(name: str, damage: Callable, complete: Run, copied: Callable) -> None:
    store = copied(complete)
    assert store.open(complete.id).metrics == complete.metrics
    damage(store.folder(complete.id) / name)
    with pytest.raises(Corrupt, match=name):
        store.open(complete.id)
    with pytest.raises(CeaeError, match=f"{name}.*ceae train"):
        store.find(complete.id)


@pytest.mark.parametrize("name", FINAL)
def test_a_damaged_run_is_quarantined_and_redone(name: str, complete: Run, copied: Callable, spec: RunSpec,
                                                 capsys: pytest.CaptureFixture) -> None:
    store = copied(complete)
    flip(store.folder(complete.id) / name)
    check_redone(store, spec, complete, name, capsys)


@pytest.mark.parametrize("damage", DAMAGES, ids=names(DAMAGES))
@pytest.mark.parametrize("which", ["state", "spec.json"])
def test_a_damaged_checkpoint_is_quarantined_and_redone(which: str, damage: Callable, partial: Run, complete: Run,
                                                        copied: Callable, spec: RunSpec,
                                                        capsys: pytest.CaptureFixture) -> None:
    store = copied(partial)
    name = which if which != "state" else next(n for n in partial.manifest["files"] if n.startswith("state-"))
    damage(store.folder(spec.id) / name)
    check_redone(store, spec, complete, name, capsys)


def test_a_partial_run_without_damage_goes_on(partial: Run, complete: Run, copied: Callable, spec: RunSpec,
                                              capsys: pytest.CaptureFixture) -> None:
    store = copied(partial)
    assert partial.status == TRAINING
    assert obtain(spec, store, device="cpu").metrics == complete.metrics
    assert not (store.root / "quarantine").exists() and "quarantine" not in capsys.readouterr().err


MANIFESTS = {
    "not JSON": lambda m: "{",
    "not text": lambda m: b"\xff\xfe\x00",
    "no object": lambda m: "[1, 2]",
    "a number": lambda m: "7",
    "unknown status": lambda m: json.dumps(m | {"status": "finished"}),
    "status of another type": lambda m: json.dumps(m | {"status": ["complete"]}),
    "no status": lambda m: json.dumps({"files": m["files"]}),
    "no files": lambda m: json.dumps({"status": m["status"]}),
    "files is a list": lambda m: json.dumps(m | {"files": list(m["files"])}),
    "weights not listed": lambda m: json.dumps(m | {"files": without(m["files"], "model.safetensors")}),
    "spec not listed": lambda m: json.dumps({"status": TRAINING, "files": without(m["files"], "spec.json")}),
    "no checksum": lambda m: json.dumps(m | {"files": {name: {"bytes": 1} for name in m["files"]}}),
    "other checksum": lambda m: json.dumps(m).replace('"sha256": "', '"sha256": "0', 1),
    "empty": lambda m: "",
}


def without(files: dict, name: str) -> dict:
    return {k: v for k, v in files.items() if k != name}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_damaged_manifest_is_noticed(kind: str, complete: Run, copied: Callable) -> None:
    store = copied(complete)
    content, path = MANIFESTS[kind](complete.manifest), store.folder(complete.id) / "MANIFEST.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Corrupt, match=complete.id):
        store.open(complete.id)


@pytest.mark.parametrize("damage", [empty, Path.unlink, replace_by_folder])
def test_a_run_without_manifest_is_redone(damage: Callable, complete: Run, copied: Callable, spec: RunSpec,
                                          capsys: pytest.CaptureFixture) -> None:
    store = copied(complete)
    damage(store.folder(complete.id) / "MANIFEST.json")
    check_redone(store, spec, complete, "MANIFEST.json", capsys)


def test_a_run_in_the_folder_of_another_is_noticed(complete: Run, copied: Callable) -> None:
    store = copied(complete)
    other = complete.id[:-12] + "0" * 12
    os.replace(store.folder(complete.id), store.folder(other))
    with pytest.raises(Corrupt, match="spec.json belongs to"):
        store.open(other)


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def pickled(path: Path) -> bytes:
    return pickle.dumps(Payload(path), protocol=2)


def saved_by_torch(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"training": Payload(path)}, buffer)
    return buffer.getvalue()


def other_training(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"training": {"counters": {}}, "seconds": 1.0}, buffer)
    return buffer.getvalue()


def other_data(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save([1, 2, 3], buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [pickled, saved_by_torch, other_training, other_data, lambda path: b"PK\x03\x04"])
def test_a_checkpoint_is_data_never_code(content: Callable, partial: Run, complete: Run, copied: Callable,
                                         spec: RunSpec, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store, trap = copied(partial), tmp_path / "trap"
    folder = store.folder(spec.id)
    name = next(n for n in partial.manifest["files"] if n.startswith("state-"))
    (folder / name).write_bytes(content(trap))
    manifest.write(folder, TRAINING, ["spec.json", name])                   # checksums match
    check_redone(store, spec, complete, "checkpoint", capsys)
    assert not trap.exists()


def test_the_payload_of_that_test_does_work(tmp_path: Path) -> None:
    pickle.loads(pickled(tmp_path / "trap"))
    assert (tmp_path / "trap").is_dir()


# files ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_write_atomic_leaves_the_old_file_if_it_dies(dies_in: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(os, dies_in, stopping_at(getattr(os, dies_in), 0))
        write_atomic(path, "new, and longer")
    assert path.read_text() == "old"
    write_atomic(path, "new, and longer")
    assert path.read_text() == "new, and longer"


@pytest.mark.parametrize("fails_in", ["fsync", "replace"])
def test_write_atomic_leaves_no_trace_on_a_full_disk(fails_in: str, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")
    path = tmp_path / "file"
    write_atomic(path, "old")
    with monkeypatch.context() as patch, pytest.raises(CeaeError, match="file: cannot be written .No space left"):
        patch.setattr(os, fails_in, full)
        write_atomic(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_make_folder_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CeaeError, match="file/inside: cannot be made a folder"):
        make_folder(tmp_path / "file" / "inside")
    with pytest.raises(CeaeError, match="cannot be made a folder"):
        make_folder(tmp_path / "file")


def test_no_room_for_a_checkpoint_is_one_clear_line(spec: RunSpec, complete: Run, tmp_path: Path) -> None:
    """The operating system refuses files over 100 kB: the state does not fit, the run stays openable and goes on."""
    arguments = ["train", spec.family, "--corpus", spec.source["corpus"], "--scale", "smoke", "--device", "cpu",
                 "--runs", str(tmp_path), *(f"--set={name}={value}" for name, value in SMALL.items())]
    process = subprocess.run([sys.executable, "-m", "ceae_core", *arguments], capture_output=True, text=True,
                             env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    assert process.returncode == 2 and "Traceback" not in process.stderr
    assert "cannot be written (File too large)" in process.stderr.splitlines()[-1]
    assert Store(tmp_path).open(spec.id).status == TRAINING
    assert [p.name for p in tmp_path.rglob("*.tmp")] == []
    assert obtain(spec, Store(tmp_path), device="cpu").metrics == complete.metrics


@pytest.mark.parametrize("root", ["file", "file/inside"])
def test_a_store_where_no_folder_can_be(root: str, spec: RunSpec, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CeaeError, match="cannot be made a folder"):
        obtain(spec, Store(tmp_path / root), device="cpu")
    assert Store(tmp_path / root).ids() == []


def test_a_file_where_the_run_should_be(spec: RunSpec, tmp_path: Path) -> None:
    (tmp_path / spec.id).touch()
    with pytest.raises(CeaeError, match=f"{spec.id}: cannot be made a folder"):
        obtain(spec, Store(tmp_path), device="cpu")


# the store --------------------------------------------------------------------------------------------------------

def test_lease_is_exclusive_and_returns(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lease("a"):
        with pytest.raises(Busy, match="another process"), store.lease("a", wait=False):
            pass
        with store.lease("b", wait=False):
            pass
    with store.lease("a", wait=False):
        pass


def test_lease_returns_after_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Stopped), store.lease("a"):
        raise Stopped
    with store.lease("a", wait=False):
        pass


def test_default_root_is_that_of_the_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CEAE_RUNS", str(tmp_path))
    assert Store().root == tmp_path and Store("elsewhere").root == Path("elsewhere")
    monkeypatch.delenv("CEAE_RUNS")
    assert Store().root == Path("runs")


def test_a_run_gives_back_what_was_kept(complete: Run, spec: RunSpec) -> None:
    assert complete.spec == spec and complete.id == spec.id and complete.status == COMPLETE
    assert len(complete.history) == 2 and complete.history[-1]["epoch"] == 2
    assert {how: len(sentences) for how, sentences in complete.samples.items()} == {"greedy": 200, "multinomial": 200}
    model = complete.model()
    assert not model.training and model.decoder.output.weight.shape[0] == len(complete.vocabulary())
    assert complete.record["environment"]["torch"] == torch.__version__


def test_find(complete: Run, partial: Run, copied: Callable, tmp_path: Path, monkeypatch) -> None:
    store = copied(complete)
    other = complete.id[:-12] + "0" * 12
    for name in (complete.id, complete.id[-6:], str(store.folder(complete.id)), f"{store.folder(complete.id)}/"):
        assert store.find(name).id == complete.id
    monkeypatch.chdir(store.folder(complete.id))
    assert Store("nowhere").find(".").id == complete.id
    with pytest.raises(CeaeError, match="there is none in"):
        store.find("zzz")
    store.folder(other).mkdir()
    with pytest.raises(CeaeError, match=f"2 runs fit: {other}, {complete.id}"):
        store.find("bn-vae")
    assert store.find(complete.id).id == complete.id
    with pytest.raises(CeaeError, match="training is not finished"):
        store.find(other)
    with pytest.raises(CeaeError, match="training is not finished"):
        store.find(str(partial.folder))
    beginning = complete.id.replace("bn-vae", "vae")
    store.folder(beginning).mkdir()
    with pytest.raises(CeaeError, match=f"run '?{beginning}"):         # a beginning goes before a part
        store.find("vae-")


def verify(store: Store, capsys: pytest.CaptureFixture) -> tuple[int, dict[str, str], str]:
    capsys.readouterr()
    status = main(["runs", "verify", "--runs", str(store.root), "--json"])
    rows = json.loads(capsys.readouterr().out)["runs"]
    return status, {row["run"]: row["status"] for row in rows}, "; ".join(filter(None, (r["problem"] for r in rows)))


def test_verify_reports_damage_and_changes_nothing(complete: Run, copied: Callable,
                                                   capsys: pytest.CaptureFixture) -> None:
    store = copied(complete)
    assert verify(store, capsys) == (0, {complete.id: "complete"}, "")
    flip(store.folder(complete.id) / "history.jsonl")
    for _ in range(2):
        status, rows, problem = verify(store, capsys)
        assert (status, rows) == (1, {complete.id: "damaged"}) and "history.jsonl" in problem
    assert main(["runs", "list", "--runs", str(store.root)]) == 0
    assert "damaged" in capsys.readouterr().out


def test_prune_removes_what_cannot_be_used(complete: Run, partial: Run, copied: Callable, spec: RunSpec) -> None:
    store = copied(complete)
    begun, damaged, left_empty = (complete.id[:-12] + digit * 12 for digit in "abc")
    shutil.copytree(partial.folder, store.folder(begun))
    shutil.copytree(complete.folder, store.folder(damaged))
    store.folder(left_empty).mkdir()
    flip(store.folder(damaged) / "metrics.json")
    with store.lease(spec.id):
        shutil.copytree(complete.folder, store.root / "other" / spec.id)
        store.quarantine(spec.id, "a test says so")
        shutil.move(store.root / "other" / spec.id, store.folder(spec.id))
    gone, size = store.prune()
    assert gone[:3] == [begun, damaged, left_empty] and len(gone) == 4 and gone[3].startswith(spec.id)
    assert size > 10_000
    assert store.ids() == [complete.id] and not (store.root / "quarantine").exists()
    assert store.open(complete.id).metrics == complete.metrics
    assert store.prune() == ([], 0)


def test_prune_leaves_runs_in_work(partial: Run, copied: Callable) -> None:
    store = copied(partial)
    with store.lease(partial.id):
        assert store.prune() == ([], 0)
    assert store.prune()[0] == [partial.id]


def test_prune_in_the_wrong_place_touches_nothing(tmp_path: Path) -> None:
    for name in ("thesis", ".config", "vae-notes", "logs", "quarantined"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text("dear")
    assert Store(tmp_path).ids() == []
    assert Store(tmp_path).prune() == ([], 0)
    assert len(list(tmp_path.rglob("file.txt"))) == 5


def test_foreign_files_in_a_run_do_no_harm(complete: Run, copied: Callable, partial: Run, spec: RunSpec) -> None:
    store = copied(partial)
    (store.folder(spec.id) / ".ipynb_checkpoints").mkdir()
    assert obtain(spec, store, device="cpu").metrics == complete.metrics


def test_killed_while_it_began_a_run_is_no_damage(spec: RunSpec, complete: Run, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture) -> None:
    folder = make_folder(tmp_path / spec.id)
    (folder / ".spec.json.1234.tmp").write_text("{")
    (folder / "spec.json").write_text(spec.to_json())
    assert Store(tmp_path).open(spec.id) is None
    run = obtain(spec, Store(tmp_path), device="cpu")
    assert run.metrics == complete.metrics and not (folder / ".spec.json.1234.tmp").exists()
    assert "quarantine" not in capsys.readouterr().err


def test_a_checkpoint_written_while_we_read_is_no_damage(partial: Run, copied: Callable, monkeypatch) -> None:
    """The writer replaces manifest and state between our look at the manifest and our look at the state."""
    store, state = copied(partial), partial.checkpoint(torch.device("cpu"))
    real, written = manifest.sha256, []

    def racing(path: Path) -> str:
        if not written:
            written.append(path)
            store.save_state(partial.id, state, 99)
        return real(path)
    monkeypatch.setattr(manifest, "sha256", racing)
    assert "state-000000099.pt" in store.open(partial.id).manifest["files"]


def test_two_quarantines_in_one_second_keep_both(complete: Run, copied: Callable) -> None:
    store = copied(complete)
    for _ in range(2):
        shutil.copytree(complete.folder, store.folder(complete.id), dirs_exist_ok=True)
        store.quarantine(complete.id, "a test says so")
    kept = list((store.root / "quarantine").iterdir())
    assert len(kept) == 2 and all((folder / "metrics.json").is_file() for folder in kept)


@pytest.mark.parametrize("family", FAMILIES)
def test_runs_of_every_family_are_found(tmp_path: Path, family: str):
    """Also those with a plus in their name."""
    store, spec = Store(tmp_path), resolve(family, scale="smoke")
    store.begin(spec)
    assert store.ids() == [spec.id]
