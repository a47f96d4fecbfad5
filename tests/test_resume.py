"""Killed at any moment, a run ends as if nothing had happened: same metrics, same weights, bit for bit."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ceae_core.execute import obtain
from ceae_core.files import sha256
from ceae_core.runs import Run, Store
from ceae_core.spec import RunSpec, resolve

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = {"batch_size": 16, "iw_samples": 2, "iw_sentences": 4}          # 14 steps an epoch
PLATEAU = {"optimiser": "sgd", "lr": 3.0, "decay": "plateau", "patience": 1, "first_decay": 0, "max_decays": 2,
           "batching": "same_length", "epochs": 8}
CASES = {
    "vae fp32": ("vae", {"precision": "fp32"}),
    "bn-vae bf16": ("bn-vae", {"precision": "bf16", "dropout_in": 0.3, "dropout_out": 0.3}),
    "ceae fp32": ("ceae", {"precision": "fp32", "global_every": 3}),
    "ceae bf16": ("ceae", {"precision": "bf16", "batching": "bucketed"}),
    "ceae-ln fp32": ("ceae-ln", {"precision": "fp32"}),
    "ceae-knn fp32": ("ceae-knn", {"precision": "fp32"}),
    "rae fp32": ("rae", {"precision": "fp32"}),                 # fits its prior between training and measuring
    "plateau": ("vae", {"precision": "fp32", **PLATEAU}),
    "ivae fp32": ("ivae", {"precision": "fp32"}),               # two optimisers
    "cvae+-mi bf16": ("cvae+-mi", {"precision": "bf16", "augment": "swap"}),
    "sa-vae fp32": ("sa-vae", {"precision": "fp32"}),
    "agg-vae fp32": ("agg-vae", {"precision": "fp32", "max_inner": 2, "check_every": 9}),
    "optimus-ceae bf16": ("optimus-ceae", {"precision": "bf16"}),           # the decoder alone in the first epoch
    "ae+fb fp32": ("ae+fb", {"precision": "fp32"}),             # a new decoder after 14 of 28 steps
}
DESCENTS = {"agg-vae fp32": 3}              # descents in a step, where it is not one
STEP, EPOCH = "ceae_core.training:Training._one_step", "ceae_core.training:Training._end_epoch"
GRADIENT, MEASURE = "ceae_core.training:Training.descend", "ceae_core.execute:measure"
FINISH, RENEW = "ceae_core.training:Training.finish", "ceae_core.training:Training.renew_decoder"
LOOK = "ceae_core.steps.aggressive:_look_at_information"
MANIFEST, RENAME = "ceae_core.manifest:write", "os:replace"
WRITE, CLEAN = "ceae_core.runs:write_atomic", "ceae_core.manifest:remove_unlisted"
KILLS = [                                   # one after the other on the same run; calls counted from each start
    (GRADIENT, 0),                          # in the very first step, before any checkpoint
    (GRADIENT, 3),                          # in the middle of a step, in the middle of an epoch
    (MANIFEST, 1),                          # a state is written, the manifest still names the one before
    (RENAME, 2),                            # a temporary file is written, but not renamed
    (CLEAN, 1),                             # the manifest names the new state, the old one is still there
    (EPOCH, 0),                             # the last step of an epoch is done, its validation is not
    (STEP, 8),
    (FINISH, 0),                            # training is over, what follows it is not done
    (MEASURE, 0),                           # it is done
    (WRITE, 2),                             # two of the five result files are written
    (MANIFEST, 0),                          # all of them are, the manifest is not
]
MORE_KILLS = {                              # of one case, after the first kill in `_end_epoch`
    "plateau": [(STEP, 20)] * 3,            # the training is longer: after its learning rate was halved
    "ae+fb fp32": [(RENEW, 0)],             # where the second training begins
    "agg-vae fp32": [(LOOK, 0)],            # where it is decided whether to stay aggressive
}


class Children:
    """`ceae` commands in forked processes, each with its own store, output files and optional hook."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, 0
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        environment.pop("CEAE_PROGRESS_FILE", None)
        self.process = subprocess.Popen([sys.executable, str(REPOSITORY / "tests" / "zygote.py")], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def ask(self, **request: object) -> int:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, *arguments: str, hook: dict | None = None) -> int:
        """Returns the process id."""
        self.started += 1
        self.err, self.out = self.folder / f"{self.started}.err", self.folder / f"{self.started}.out"
        self.err.touch()
        return self.ask(start=arguments, hook=hook, out=str(self.out), err=str(self.err))

    def run(self, *arguments: str, hook: dict | None = None) -> int:
        """Returns the exit status; `out` and `err` are what the command wrote."""
        return self.ask(wait=self.start(*arguments, hook=hook))


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    made = Children(tmp_path_factory.mktemp("children"))
    yield made
    made.process.stdin.close()
    made.process.wait(60)


def command(spec: RunSpec, store: Path, changes: dict, *more: str) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in changes.items()]
    return ["train", spec.family, "--corpus", spec.source["corpus"], "--scale", "smoke", "--device", "cpu",
            "--runs", str(store), *settings, *more]


def result(run: Run) -> dict:
    """All that must not depend on interruptions."""
    return {"metrics": run.metrics, "history": run.history, "samples": run.samples, "status": run.status,
            "weights": sha256(run.folder / "model.safetensors"), "best": run.record["best_epoch"]}


@pytest.fixture(scope="module")
def uninterrupted(reviews: Path, tiny_encoder, tmp_path_factory: pytest.TempPathFactory):
    """case -> (spec, changes, result) of a run that nothing disturbed and that saved after each epoch only."""
    store, done = Store(tmp_path_factory.mktemp("uninterrupted")), {}

    def of(case: str) -> tuple[RunSpec, dict, dict]:
        if case not in done:
            family, changes = CASES[case]
            changes = {**SMALL, **tiny_encoder(family, changes), **changes}
            spec = resolve(family, str(reviews), "smoke", set=changes)
            done[case] = spec, changes, result(obtain(spec, store, device="cpu", checkpoint_seconds=1e9))
        return done[case]
    return of


def steps_done(store: Path, spec: RunSpec) -> int:
    manifest = json.loads((store / spec.id / "MANIFEST.json").read_text())
    states = [name for name in manifest["files"] if name.startswith("state-")]
    return int(states[0][6:-3]) if states else 0


@pytest.mark.parametrize("case", CASES)
def test_killed_again_and_again_the_run_ends_the_same(case: str, children: Children, uninterrupted,
                                                      tmp_path: Path) -> None:
    spec, changes, expected = uninterrupted(case)
    arguments = command(spec, tmp_path, changes, "--checkpoint-seconds", "0")
    progress = []
    first = KILLS.index((EPOCH, 0)) + 1
    for at, call in [*KILLS[:first], *MORE_KILLS.get(case, ()), *KILLS[first:]]:
        if at == GRADIENT and case in DESCENTS:
            call = call * DESCENTS[case] + 1                    # in the middle of the same step
        assert children.run(*arguments, hook={"at": at, "call": call, "signal": signal.SIGKILL}) == -9, (at, call)
        assert "quarantine" not in children.err.read_text(), (at, call)
        progress.append(steps_done(tmp_path, spec))
    assert progress == sorted(progress) and progress[1] == 3 and progress[-1] > 20      # each went on from the last
    assert children.run(*arguments) == 0, children.err.read_text()
    run = Store(tmp_path).open(spec.id)
    assert result(run) == expected
    assert sorted(p.name for p in run.folder.iterdir()) == sorted([*run.manifest["files"], "MANIFEST.json"])


def test_the_plateau_case_does_decay_and_stop_early(uninterrupted) -> None:
    _, _, expected = uninterrupted("plateau")
    assert [row["lr"] for row in expected["history"]] == [3.0, 3.0, 3.0, 1.5, 1.5, 1.5]
    assert [row["step"] for row in expected["history"]] == [20, 40, 60, 80, 100, 120]


def test_ceae_case_uses_noise_contrast_and_cache(uninterrupted) -> None:
    _, _, expected = uninterrupted("ceae fp32")
    assert expected["history"][-1]["weight_entropy"] > 0
    assert expected["history"][-1]["train_entropy"] != 0


def test_cases_of_several_phases_pass_through_them(uninterrupted) -> None:
    first, second = (uninterrupted("ae+fb fp32")[2]["history"][i] for i in (0, 1))
    assert first["weight_free_bits"] == 0.0 < second["weight_free_bits"] and second["train_free_bits"] > 0.0
    first, second = (uninterrupted("optimus-ceae bf16")[2]["history"][i] for i in (0, 1))
    assert "train_decoder_alone" in first and second["weight_entropy"] > 0.0 and second["train_entropy"] != 0.0
    assert uninterrupted("agg-vae fp32")[2]["history"][0]["train_encoder_updates"] == 2.0
    assert "valid_kl_dual_nats" in uninterrupted("ivae fp32")[2]["history"][-1]


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_from_outside_at_random_moments(seed: int, children: Children, uninterrupted, tmp_path: Path) -> None:
    spec, changes, expected = uninterrupted("ceae fp32")
    arguments, draw = command(spec, tmp_path, changes, "--checkpoint-seconds", "0"), random.Random(seed)
    began = time.monotonic()
    assert children.run(*command(spec, tmp_path / "timed", changes, "--checkpoint-seconds", "0")) == 0
    whole = time.monotonic() - began
    killed = 0
    for _ in range(8):
        pid = children.start(*arguments)
        time.sleep(draw.uniform(0.02, 0.4) * whole)
        os.kill(pid, signal.SIGKILL)
        killed += children.ask(wait=pid) == -9
    assert killed >= 2
    assert children.run(*arguments) == 0, children.err.read_text()
    assert result(Store(tmp_path).open(spec.id)) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at, call", [(GRADIENT, 4), (EPOCH, 1), (MEASURE, 0)])
def test_signals_leave_a_checkpoint_and_status_75(number: signal.Signals, at: str, call: int, children: Children,
                                                  uninterrupted, tmp_path: Path) -> None:
    spec, changes, expected = uninterrupted("vae fp32")
    arguments = command(spec, tmp_path, changes)                    # no saving between epochs except on the signal
    assert children.run(*arguments, hook={"at": at, "call": call, "signal": number}) == 75
    *notes, message = children.err.read_text().strip().splitlines()
    assert message.startswith("ceae: ") and "stopped" in message
    assert all(note.startswith("reviews: ") for note in notes)
    assert children.out.read_text() == ""
    assert steps_done(tmp_path, spec) == {GRADIENT: 5, EPOCH: 28, MEASURE: 28}[at]
    assert children.run(*arguments) == 0
    assert result(Store(tmp_path).open(spec.id)) == expected


def test_a_signal_to_one_that_waits_ends_it(children: Children, uninterrupted, tmp_path: Path) -> None:
    spec, changes, _ = uninterrupted("vae fp32")
    with Store(tmp_path).lease(spec.id):
        pid = children.start(*command(spec, tmp_path, changes))
        wait_for(lambda: "waiting" in children.err.read_text())
        os.kill(pid, signal.SIGTERM)
        assert children.ask(wait=pid) == 75


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def test_two_processes_train_a_run_once(children: Children, uninterrupted, tmp_path: Path) -> None:
    spec, changes, expected = uninterrupted("vae fp32")
    arguments, pause = command(spec, tmp_path / "runs", changes), tmp_path / "pause"
    one = children.start(*arguments, "--json", hook={"at": GRADIENT, "call": 2, "pause": str(pause)})
    first = children.out
    wait_for(pause.exists)

    began = time.monotonic()
    assert children.run(*arguments, "--no-wait") == 2                           # one leaves at once
    assert time.monotonic() - began < 5
    message = children.err.read_text().strip()
    assert message.count("\n") == 0 and "another process is training it" in message

    assert children.run("runs", "prune", "--runs", str(tmp_path / "runs"), "--json") == 0      # prune lets it live
    assert json.loads(children.out.read_text())["removed"] == []
    assert children.run("runs", "verify", "--runs", str(tmp_path / "runs")) == 0

    two = children.start(*arguments, "--json")                                  # another waits, then loads
    second, said = children.out, children.err
    wait_for(lambda: "waiting" in said.read_text())
    pause.unlink()
    assert children.ask(wait=one) == 0 and children.ask(wait=two) == 0
    assert json.loads(first.read_text()) == json.loads(second.read_text())      # the same training, to the second
    assert result(Store(tmp_path / "runs").open(spec.id)) == expected


def test_the_lease_of_a_killed_process_is_free(children: Children, uninterrupted, tmp_path: Path) -> None:
    spec, changes, expected = uninterrupted("vae fp32")
    arguments, pause = command(spec, tmp_path / "runs", changes), tmp_path / "pause"
    pid = children.start(*arguments, hook={"at": GRADIENT, "call": 2, "pause": str(pause)})
    wait_for(pause.exists)
    os.kill(pid, signal.SIGKILL)
    assert children.ask(wait=pid) == -9
    assert children.run(*arguments, "--no-wait") == 0
    assert result(Store(tmp_path / "runs").open(spec.id)) == expected


def test_a_state_holds_all_that_changes(smoke) -> None:
    """Whatever attribute of a training is a number, a flag or a list, a checkpoint brings it back."""
    one, two = smoke("ceae"), smoke("ceae")
    plain = {name: value for name, value in vars(one).items() if isinstance(value, int | float | list | dict)}
    fixed = {"terms", "batches", "steps_per_epoch"}             # follow from the spec and the epoch
    own_kind = {"finished", "history", "best", "totals", "memory"}
    for number, name in enumerate(sorted(set(plain) - fixed - own_kind), start=2):
        setattr(one, name, number)
    one.epoch, one.finished, one.history, one.memory = 1, True, [{"epoch": 1}], {"aggressive": False, "renewed": 3}
    one.totals = {"rec": torch.tensor(3.0, dtype=torch.float64)}
    one.best = {name: value + 1 for name, value in one.best.items()}
    buffer = io.BytesIO()
    torch.save(one.state(), buffer)
    two.restore(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    for name in set(plain) - fixed - {"best"}:
        assert getattr(two, name) == getattr(one, name), name
    assert all(torch.equal(two.best[name], value) for name, value in one.best.items())
    assert [list(rows) for rows in two.batches] == [list(rows) for rows in one._plan(1)]
