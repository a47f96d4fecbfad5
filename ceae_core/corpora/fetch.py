"""Downloading a corpus of the table from its public location; nothing is kept unless its checksum is right."""
import os
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ceae_core.corpora import files, table
from ceae_core.errors import CeaeError
from ceae_core.progress import bar

TIMEOUT = 60.0                                              # seconds without an answer
CHUNK = 1 << 16                                             # bytes


def fetch(name: str, data: Path | str | None = None) -> Path:
    """Download the files that corpus `name` lacks in the data folder, and return that folder.

    Each goes to a temporary name, is verified and then renamed, so that an interruption leaves no half file.  A file
    that is there and right is left alone.  CeaeError for an unknown name or the built-in corpus, without a data
    folder, when a file is there but is another one (it is not overwritten), and when a download fails: it says which
    file to put where, and the documented source.
    """
    entry = table.entry(name)
    if not entry.files:
        raise CeaeError(f"corpus {name} is built in; there is nothing to fetch")
    folder = table.data_folder(data)
    if folder is None:
        raise CeaeError(f"corpus {name}: no data folder to put it in; set CEAE_DATA or pass --data")
    lacking = []
    for file in entry.files:
        path = folder / file.path
        if not path.exists():
            lacking.append(file)
        elif difference := files.differs(file, files.read(path)):
            raise CeaeError(f"{path}: not the published file of corpus {name} ({difference}); move it away and fetch "
                            "again")
    for file in lacking:
        _fetch_file(file, entry, folder)
    return folder


def _fetch_file(file: table.File, entry: table.Entry, folder: Path) -> None:
    """Try the locations of one file in turn."""
    path = folder / file.path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    tried = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CeaeError(f"{path.parent}: cannot be created ({error.strerror}); choose another data folder") from None
    try:
        for url in file.urls:
            try:
                _download(url, temporary, f"{entry.name}: {path.name}")
            except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
                tried.append(f"{url}: {getattr(error, 'reason', error)}")
                continue
            if difference := files.differs(file, temporary.read_bytes()):
                tried.append(f"{url}: another file ({difference})")
                continue
            os.replace(temporary, path)
            return
    except OSError as error:
        raise CeaeError(f"{path}: cannot be written ({error.strerror}); make room or choose another folder") from None
    finally:
        temporary.unlink(missing_ok=True)
    reasons = "; ".join(tried) or "it has no public download location"
    raise CeaeError(f"corpus {entry.name}: cannot download {file.path} ({reasons}); obtain it from its source "
                    f"({entry.source}) and put it at {path}")


def _download(url: str, path: Path, label: str) -> None:
    with urlopen(url, timeout=TIMEOUT) as answer, open(path, "wb") as out:
        size = int(answer.headers.get("Content-Length") or 0)
        with bar(size, f"{label} (bytes)") as shown:
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                shown.update(len(chunk))
