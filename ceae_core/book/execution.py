"""Execute one chapter: papermill in a kernel of this interpreter, promoted to its place only after it succeeded."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat

from ceae_core.book import record
from ceae_core.book.layout import Book, Parameters
from ceae_core.book.statusline import following
from ceae_core.errors import CeaeError
from ceae_core.files import make_folder, write_atomic

KERNEL = "python3"
LAUNCH = ("import os; log = os.open(os.environ['CEAE_KERNEL_LOG'], os.O_WRONLY | os.O_CREAT | os.O_APPEND); "
          "os.dup2(log, 2); from ipykernel import kernelapp; kernelapp.launch_new_instance()")
START_TIMEOUT = 180     # seconds a kernel may take to answer; cells have no limit, a full training is one cell


def execute(book: Book, chapter: str, parameters: Parameters, folder: Path, mark: str, label: str) -> list[dict]:
    """Run `chapter` and put the executed copy, marked `mark`, into `folder`; returns its run log.

    The copy grows under a temporary name and is moved into place last, so a kill leaves no copy that looks complete.
    On failure the copy is kept under `failed/` and a CeaeError names chapter, cell and exception.
    """
    work = _Workplace(folder, chapter)
    work.clear()
    with kernel_environment(book, work), following(work.progress, label):
        try:
            _papermill(book.source(chapter), work.copy, parameters, book.sources)
        except Exception as error:
            kept = work.keep_failure().relative_to(book.root).as_posix()
            raise CeaeError(f"chapter {chapter}{_reason(error)}; kept for inspection: {kept}") from error
    notebook = nbformat.read(work.copy, as_version=4)
    notebook.metadata["ceae"] = {**notebook.metadata.get("ceae", {}), "fingerprint": mark}
    write_atomic(folder / f"{chapter}.ipynb", nbformat.writes(notebook))
    runs = record.read_lines(work.runs)
    work.clear()
    return runs


class _Workplace:
    """The files of one execution in progress, below the folder of executed copies."""

    def __init__(self, folder: Path, chapter: str) -> None:
        self.record, self.chapter = folder / record.FILE, chapter
        self.work, self.failed = folder / "work", folder / "failed"
        self.copy, self.log = self.work / f"{chapter}.ipynb", self.work / f"{chapter}.log"
        self.progress, self.runs = self.work / f"{chapter}.progress", self.work / f"{chapter}.runs.jsonl"

    def clear(self) -> None:
        """Remove what an earlier execution left, and make the folder."""
        for path in (self.copy, self.log, self.progress, self.runs, *self._kept()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)

    def keep_failure(self) -> Path:
        """Move what was executed, and the kernel's messages, to `failed/`; returns where the copy is."""
        for path, target in zip((self.copy, self.log), self._kept(), strict=True):
            if path.exists():
                os.replace(path, target)
        return self._kept()[0]

    def _kept(self) -> tuple[Path, Path]:
        return self.failed / f"{self.chapter}.ipynb", self.failed / f"{self.chapter}.log"


@contextmanager
def kernel_environment(book: Book, work: _Workplace) -> Iterator[None]:
    """The environment of the kernels: the checkout's package, its run store, one thread, the files to report to.

    Kernels start in `book/`, so relative folders given by the caller are made absolute.
    """
    absolute = {name: str(Path(os.environ[name]).resolve()) for name in ("CEAE_RUNS", "CEAE_DATA")
                if os.environ.get(name)}
    with _environment({
        "CEAE_RUNS": str(book.root / "runs"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **absolute,
        "PYTHONPATH": _prepended("PYTHONPATH", book.root),
        "JUPYTER_PATH": _prepended("JUPYTER_PATH", _kernelspec(book)),
        "CEAE_PROGRESS_FILE": str(work.progress),
        "CEAE_RUN_LOG": str(work.runs),
        "CEAE_CHAPTER": work.chapter,
        "CEAE_KERNEL_LOG": str(work.log),
        record.VARIABLE: str(work.record),
    }):
        yield


def _papermill(source: Path, target: Path, parameters: Parameters, folder: Path) -> None:
    import papermill
    from traitlets.config import Config

    manager = {"transport": "ipc", "shutdown_wait_time": 20.0}      # time to write a checkpoint after Ctrl-C
    papermill.execute_notebook(str(source), str(target), parameters=dict(parameters), kernel_name=KERNEL,
                               cwd=str(folder), progress_bar=False, start_timeout=START_TIMEOUT,
                               execution_timeout=None, store_widget_state=True,
                               config=Config({"KernelManager": manager}))


def _kernelspec(book: Book) -> Path:
    """A Jupyter data folder whose `python3` is this interpreter, whatever kernels the user has installed.

    What a kernel says on stderr outside of cells (interrupts, crashes) goes to its log, not to the terminal.
    """
    folder = book.build / "kernel"
    write_atomic(make_folder(folder / "kernels" / KERNEL) / "kernel.json", json.dumps({
        "argv": [sys.executable, "-c", LAUNCH, "-f", "{connection_file}"],
        "display_name": "Python 3", "language": "python"}))
    return folder


def _prepended(variable: str, path: Path) -> str:
    return os.pathsep.join([str(path), *filter(None, [os.environ.get(variable)])])


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reason(error: Exception) -> str:
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        code = error.source.strip().splitlines()[:1] or [""]
        text = str(error.evalue).strip().splitlines()[:1] or [""]
        return f", cell {error.cell_index + 1} (`{code[0][:80]}`): {error.ename}: {text[0]}"
    return f": {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no details'}"
