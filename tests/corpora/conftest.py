"""Shared by the tests of corpora: the folder of real corpora, and files written on the fly."""
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real corpora; tests that ask for it are skipped where CEAE_DATA does not name it."""
    folder = Path(os.environ.get("CEAE_DATA", ""))
    if not os.environ.get("CEAE_DATA") or not (folder / "ptb" / "train.txt").is_file():
        pytest.skip("CEAE_DATA is unset or has no ptb/train.txt")
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """write("train.txt", "text") -> the path of a new file with exactly that content."""
    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return written
