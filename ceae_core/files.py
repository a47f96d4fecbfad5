"""Files that are either whole or absent."""

import hashlib
import os
from pathlib import Path

from ceae_core.errors import CeaeError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write under a temporary name beside `path`, flush to disk, then rename: a reader sees the old file or the new.

    Raises CeaeError when the disk is full or the folder cannot be written to; the old file stays.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CeaeError(f"{path}: cannot be written ({error.strerror}); make room, or choose another folder") from error


def make_folder(path: Path) -> Path:
    """The folder `path`, made with its parents if it is not there.  Raises CeaeError when that is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CeaeError(f"{path}: cannot be made a folder ({error.strerror}); choose another place") from error
    return path


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
