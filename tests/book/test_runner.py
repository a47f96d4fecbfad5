import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from ceae_core.book import chapters, record
from ceae_core.errors import CeaeError


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.delenv("CEAE_RUNS", raising=False)


def outputs(book, name, parameters=None):
    copy = nbformat.read(book.executed(parameters or {}) / f"{name}.ipynb", as_version=4)
    return [output for cell in copy.cells if cell.cell_type == "code" for output in cell.outputs]


def test_order_freshness_package_and_sources(book):
    before = {name: book.source(name).read_bytes() for name in ("first", "second")}
    assert chapters.run(book, {}) == ["second", "first"]
    assert book.events() == ["second", "first"]
    assert outputs(book, "second")[0]["data"]["text/plain"] == "1"
    log = record.read(book.executed({}))["chapters"]
    assert [entry["status"] for entry in log.values()] == ["done", "done"] and log["first"]["seconds"] > 0
    assert chapters.run(book, {}) == []
    assert chapters.up_to_date(book, {}) == {"first", "second"}
    (book.root / "ceae_core" / "__init__.py").write_text("VALUE = 2\n")
    assert chapters.up_to_date(book, {}) == set()
    assert chapters.run(book, {}) == ["second", "first"]
    assert outputs(book, "second")[0]["data"]["text/plain"] == "2"
    assert {name: book.source(name).read_bytes() for name in before} == before


def test_parameters_names_and_force(book):
    assert chapters.run(book, {"scale": "smoke", "seeds": [4]}, ["first"]) == ["first"]
    assert outputs(book, "first", {"scale": "smoke", "seeds": [4]})[0].text == "smoke [4]\n"
    assert chapters.run(book, {"scale": "smoke", "seeds": [4]}, ["first"], force=True) == ["first"]
    assert book.events() == ["first", "first"]
    assert not book.executed({}).exists()


@pytest.mark.parametrize("arguments, message", [
    ({"parameters": {"scael": "smoke"}}, "unknown parameter `scael`"),
    ({"parameters": {"seeds": "x"}}, "must be list"),
    ({"parameters": {}, "names": ["thrid"]}, "no chapter `thrid`; the chapters are second, first"),
])
def test_refused_before_anything_runs(book, arguments, message):
    with pytest.raises(CeaeError, match=message):
        chapters.run(book, **arguments)
    assert book.events() == [] and not book.build.exists()


def test_failing_chapter_is_named_and_only_it_runs_again(book):
    book.write("first", book.note("first"), "x = 1\nraise ValueError('too <small>\\nsecond line')")
    done = subprocess.run(book.command(), env=book.environment(), capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: chapter first, cell 2 (`x = 1`): ValueError: too <small>; "
        "kept for inspection: _build/executed/default/failed/first.ipynb")
    assert record.read(book.executed({}))["chapters"]["first"]["status"] == "failed"
    assert (book.executed({}) / "failed" / "first.ipynb").exists()
    assert not (book.executed({}) / "first.ipynb").exists()
    book.write("first", book.note("first"))
    assert chapters.run(book, {}) == ["first"]
    assert not (book.executed({}) / "failed" / "first.ipynb").exists()


def test_a_dying_kernel_is_a_failure(book):
    book.write("first", "import os\nos._exit(3)")
    with pytest.raises(CeaeError, match="^chapter first: DeadKernelError"):
        chapters.run(book, {}, ["first"])


SLOW = ("import os, time\nopen('../kernel.pid', 'w').write(str(os.getpid()))\n"
        "time.sleep(float(os.environ['TEST_SECONDS']))")


def interrupted(book, signum):
    """Start the runner, send it `signum` in the middle of the second chapter; its exit status, text and kernel."""
    book.write("first", book.note("first"), SLOW)
    process = subprocess.Popen(book.command(), env=book.environment(TEST_SECONDS="100"), stderr=subprocess.PIPE,
                               text=True)
    path = book.root / "kernel.pid"
    wait(lambda: path.exists() and path.read_text())
    process.send_signal(signum)
    status, text = process.wait(timeout=40), process.stderr.read()
    kernel = int(path.read_text())
    wait(lambda: not alive(kernel))
    return status, text


def wait(condition, seconds=40):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def alive(pid):
    """Whether a process runs (one that ended but was not waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_interrupted_runner_leaves_no_success_and_continues(book, signum, monkeypatch):
    status, text = interrupted(book, signum)
    if signum == signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert status == 130 and text.splitlines()[-1].startswith("interrupted") and "Traceback" not in text
    assert chapters.up_to_date(book, {}) == {"second"}
    assert record.read(book.executed({}))["chapters"]["first"]["status"] == "running"
    monkeypatch.setenv("TEST_SECONDS", "0")
    assert chapters.run(book, {}) == ["first"]
    assert book.events() == ["second", "first", "first"]


def test_kernel_is_this_interpreter_with_the_promised_environment(book, monkeypatch, tmp_path):
    foreign = tmp_path / "user" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "x", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "user"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CEAE_DATA", "corpora")
    names = ["CEAE_RUNS", "CEAE_DATA", "OMP_NUM_THREADS", "CEAE_PROGRESS_FILE", "CEAE_RUN_LOG", "CEAE_BOOK_RECORD"]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    book.write("first", "import json, os, sys\nfrom pathlib import Path\n"
               "Path(os.environ['CEAE_PROGRESS_FILE']).write_text('half way')\n"
               "open(os.environ['CEAE_RUN_LOG'], 'a').write('{\"run\": \"r1\", \"action\": \"trained\"}\\n{\"cut')\n"
               f"Path('../env.json').write_text(json.dumps([sys.executable, *map(os.environ.get, {names})]))")
    before = dict(os.environ)
    chapters.run(book, {}, ["first"])
    assert dict(os.environ) == before
    python, runs, data, threads, *_, log = json.loads((book.root / "env.json").read_text())
    assert python == sys.executable and threads == "1"
    assert (runs, data) == (str(book.root / "runs"), str(tmp_path / "corpora"))
    assert log == str(book.executed({}) / "record.json")
    assert record.read(book.executed({}))["chapters"]["first"]["runs"] == [{"run": "r1", "action": "trained"}]


def test_a_second_build_waits_for_the_first(book):
    book.build.mkdir()
    messages, other = [], FileLock(book.build / ".lock")
    with other:
        thread = threading.Thread(target=lambda: chapters.run(book, {}, ["second"], say=messages.append))
        thread.start()
        wait(lambda: messages)
        assert "another build" in messages[0] and book.events() == []
    thread.join(60)
    assert book.events() == ["second"]


def test_a_removed_chapter_leaves_the_record(book):
    record.write(book.executed({}), {"chapters": {"gone": {"status": "done"}}})
    chapters.run(book, {}, ["second"])
    assert set(record.read(book.executed({}))["chapters"]) == {"second"}
