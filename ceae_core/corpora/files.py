"""Reading text files strictly: every complaint names the file, the line and the remedy."""
import hashlib
from collections.abc import Iterable
from pathlib import Path
from sys import intern

from ceae_core.corpora.table import File
from ceae_core.corpora.vocabulary import BOS, EOS, PAD
from ceae_core.errors import CeaeError

RESERVED = frozenset((PAD, BOS, EOS))                       # rows of every vocabulary that no text may use as words


def read(path: Path) -> bytes:
    """The bytes of a file; CeaeError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CeaeError(f"{path}: no such file") from None
    except OSError as error:
        raise CeaeError(f"{path}: cannot be read ({error.strerror}); it must be a readable text file") from None


def differs(file: File, content: bytes) -> str | None:
    """None when `content` is the published file, else one phrase with the expected and the found checksum."""
    if file.sha256:
        kind, expected, found = "sha256", file.sha256, hashlib.sha256(content).hexdigest()
    else:
        kind, expected = "git blob id", file.blob
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return None if found == expected else f"{kind} expected {expected}, found {found}"


def lines(content: bytes, path: Path) -> list[str]:
    """The lines of UTF-8 text, with any line ends and with or without a byte order mark.

    CeaeError for a NUL byte (binary) and for bytes that are not UTF-8.
    """
    if (nul := content.find(b"\0")) >= 0:
        raise CeaeError(f"{path}, line {_line_at(content, nul)}: a NUL byte, so this is not plain text; "
                        "save it as UTF-8 text (UTF-16 converts with: iconv -f UTF-16 -t UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_at(content, error.start)
        raise CeaeError(f"{path}, line {line}: byte 0x{error.object[error.start]:02x} is not valid UTF-8; "
                        "save the text as UTF-8 (Latin-1 converts with: iconv -f LATIN1 -t UTF-8)") from None
    found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return found[:-1] if not found[-1] else found


def _line_at(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


def words(text: str) -> tuple[str, ...]:
    """The words of a line, split at white space; equal words are one object in memory."""
    return tuple(map(intern, text.split()))


def has_label(line: str) -> bool:
    """Does the line read integer<TAB>text?"""
    label, tab, _ = line.partition("\t")
    return bool(tab) and _integer(label) is not None


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def parse(found: Iterable[str], path: Path, tabbed: bool, max_tokens: int) -> tuple[list[tuple[str, ...]], list[int]]:
    """Sentences and, when `tabbed`, their labels (else an empty list); one sentence a line, nothing is repaired.

    CeaeError for an empty line, a line over `max_tokens` words, a reserved word, a label missing or not an integer, and
    when there are no lines at all.
    """
    sentences, labels = [], []
    for number, line in enumerate(found, start=1):
        where = f"{path}, line {number}"
        if tabbed:
            label, tab, line = line.partition("\t")
            if not tab:
                raise CeaeError(f"{where}: no label; expected an integer, a tab and the sentence")
            if (value := _integer(label)) is None:
                raise CeaeError(f"{where}: the label {label[:40]!r} is not an integer; expected an integer, a tab and "
                                "the sentence")
            labels.append(value)
        sentence = words(line)
        if not sentence:
            raise CeaeError(f"{where}: an empty line; delete it (every line must be one sentence)")
        if len(sentence) > max_tokens:
            raise CeaeError(f"{where}: {len(sentence)} words, over the limit of {max_tokens}; shorten or split the "
                            "line, or raise max_tokens")
        if not RESERVED.isdisjoint(sentence):
            word = next(word for word in sentence if word in RESERVED)
            raise CeaeError(f"{where}: the word {word} is reserved for the vocabulary; remove it from the text")
        sentences.append(sentence)
    if not sentences:
        raise CeaeError(f"{path}: the file holds no sentence; expected one sentence per line")
    return sentences, labels
