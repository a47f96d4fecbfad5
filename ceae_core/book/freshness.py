"""When is an executed copy up to date: a fingerprint of everything its outputs depend on, written after success."""

import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat

from ceae_core.book.layout import Book, Parameters

EXECUTION_TAGS = {"parameters", "raises-exception", "skip-execution"}
IGNORED = {"__pycache__", ".ipynb_checkpoints"}


def inputs_digest(book: Book) -> str:
    """Hash of what all chapters share: the package with its data files, the recorded results, the pinned versions."""
    digest = hashlib.sha256()
    for path in _inputs(book):
        digest.update(path.relative_to(book.root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _inputs(book: Book) -> list[Path]:
    trees = [path for tree in ("ceae_core", "results") for path in (book.root / tree).rglob("*")
             if path.is_file() and not IGNORED & set(path.parts) and not path.name.startswith(".")]
    return sorted([*trees, *(p for p in [book.root / "requirements.txt"] if p.is_file())])


def reads_record(notebook: nbformat.NotebookNode) -> bool:
    """True for a chapter that shows the record of the others (notebook metadata `ceae: {reads: record}`)."""
    return notebook.metadata.get("ceae", {}).get("reads") == "record"


def fingerprint(book: Book, chapter: str, parameters: Parameters, inputs: str, record: dict[str, Any]) -> str:
    """Hash of the chapter's code and execution tags, its parameters, `inputs` (see `inputs_digest`) and, for a chapter
    that shows it, the record of the chapters before it.  Prose and captions may change without a new execution."""
    notebook = nbformat.read(book.source(chapter), as_version=4)
    cells = [[cell.source, sorted(EXECUTION_TAGS & set(cell.metadata.get("tags", [])))]
             for cell in notebook.cells if cell.cell_type == "code"]
    before = None
    if reads_record(notebook):
        before = {name: entry for name, entry in record.get("chapters", {}).items() if name != chapter}
    content = json.dumps([cells, dict(parameters), inputs, before], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def mark_of(copy: Path) -> str | None:
    """The fingerprint stored in an executed copy, or None when there is no readable, completed copy."""
    try:
        return nbformat.read(copy, as_version=4).metadata["ceae"]["fingerprint"]
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def merged(source: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The page to render: prose and cell metadata of the source, outputs of the executed copy.

    The cell that papermill injects is kept, so the page shows the values that were used; papermill's metadata
    (absolute paths, times) stays behind.  Raises ValueError when the code cells of the two differ.
    """
    outputs = [cell for cell in executed.cells if cell.cell_type == "code"]
    page, cells = nbformat.from_dict(source), []
    for cell in page.cells:
        if cell.cell_type == "code":
            done = outputs.pop(0) if outputs else None
            if done is None or done.source != cell.source:
                raise ValueError("the executed copy has other code than the source")
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        cells.append(cell)
        if cell.cell_type == "code" and outputs and "injected-parameters" in outputs[0].metadata.get("tags", []):
            injected = outputs.pop(0)
            injected.metadata = nbformat.from_dict({"tags": injected.metadata.tags})
            cells.append(injected)
    if outputs:
        raise ValueError("the executed copy has more code than the source")
    page.cells = cells
    page.metadata.update({key: executed.metadata[key] for key in ("language_info", "widgets")
                          if key in executed.metadata})
    return page
