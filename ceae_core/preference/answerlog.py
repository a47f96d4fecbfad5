"""Replies as they arrive: one JSON object a line, appended and flushed to disk, so that none is paid for twice."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from ceae_core.errors import CeaeError


class AnswerLog:
    """The log of a folder.  `entries`: key of a question -> what was logged under it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = self._read()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside the block this process alone may append.  Raises CeaeError when another one does."""
        lock = filelock.FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise CeaeError(f"{self.path}: another process is judging this sheet; wait for it to end") from None
        except OSError as error:
            raise CeaeError(f"{lock.lock_file}: cannot be written ({error.strerror}); choose another folder") from error
        try:
            self.entries = self._read()
            self._drop_torn_line()
            yield
        finally:
            lock.release()

    def append(self, entry: Mapping[str, Any]) -> None:
        """Keep an entry, which has its key under "key"; it is on the disk when this returns."""
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            with open(self.path, "ab") as file:
                file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):                 # no half line between whole ones
                os.truncate(self.path, before)
            raise CeaeError(f"{self.path}: cannot be written ({error.strerror}); make room, then repeat the command"
                            ) from error
        self.entries[entry["key"]] = entry

    def _read(self) -> dict[str, Any]:
        """All whole lines.  What a killed process left of its last line does not count."""
        entries = {}
        for number, line in enumerate(self._content().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                entries[entry["key"]] = entry
            except (ValueError, KeyError, TypeError) as error:
                raise CeaeError(f"{self.path}, line {number}: is no reply ({error}); remove the line, its question is "
                                "asked again") from error
        return entries

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise CeaeError(f"{self.path}: cannot be read ({error.strerror})") from error

    def _drop_torn_line(self) -> None:
        content = self._content()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
