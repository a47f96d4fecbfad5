"""Downloading, from a server on this machine only."""
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ceae_core import corpora
from ceae_core.corpora import table
from ceae_core.corpora.table import Entry, File, Part
from ceae_core.errors import CeaeError

CONTENT = {"train": b"a b c\n" * 50_000, "valid": b"a b\n", "test": b"b c\n"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server(tmp_path_factory):
    """(folder, address) of a running server."""
    folder = tmp_path_factory.mktemp("server")
    for split, content in CONTENT.items():
        (folder / f"{split}.txt").write_bytes(content)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever, args=(.02,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def toy(server, monkeypatch):
    """A corpus of the table whose first address does not answer and whose second is the server."""
    splits = {}
    for split, content in CONTENT.items():
        urls = (f"{server[1]}/nowhere/{split}.txt", f"{server[1]}/{split}.txt")
        splits[split] = Part((File(f"toy/{split}.txt", "0" * 40, hashlib.sha256(content).hexdigest(), urls),), 1)
    monkeypatch.setitem(table.CORPORA, "toy", Entry("toy", "Toy", splits, "none", "the toy shop"))
    return table.CORPORA["toy"]


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_fetch_then_load(toy, tmp_path):
    data = tmp_path / "new" / "data"
    assert corpora.fetch("toy", data) == data
    assert names(data) == ["test.txt", "train.txt", "valid.txt"]
    assert (data / "toy/train.txt").read_bytes() == CONTENT["train"]
    assert len(corpora.load("toy", data).splits["train"]) == 50_000


def test_only_what_is_missing(toy, tmp_path, server):
    corpora.fetch("toy", tmp_path)
    (tmp_path / "toy/valid.txt").unlink()
    (server[0] / "train.txt").unlink()                                          # is not asked for again
    corpora.fetch("toy", tmp_path)
    assert names(tmp_path) == ["test.txt", "train.txt", "valid.txt"]


def test_a_different_file_is_not_overwritten(toy, tmp_path, write):
    mine = write("toy/test.txt", "mine\n")
    with pytest.raises(CeaeError, match=r"test.txt: not the published file.*expected .*found .*move it away"):
        corpora.fetch("toy", tmp_path)
    assert mine.read_text() == "mine\n" and names(tmp_path) == ["test.txt"]


def test_a_wrong_download_is_thrown_away(toy, tmp_path, server):
    (server[0] / "train.txt").write_bytes(b"something else\n")
    with pytest.raises(CeaeError, match=r"cannot download toy/train.txt.*another file \(sha256 .*toy shop.*put"):
        corpora.fetch("toy", tmp_path)
    assert names(tmp_path) == []


def test_no_network(toy, tmp_path, monkeypatch):
    broken = File("toy/x.txt", "0" * 40, None, ("http://127.0.0.1:9/x.txt",))
    parts = {split: Part((broken,), 1) for split in table.SPLITS}
    monkeypatch.setitem(table.CORPORA, "toy", Entry("toy", "Toy", parts, "none", "the toy shop"))
    with pytest.raises(CeaeError, match=r"127.0.0.1:9/x.txt: .*refused.*obtain it from its source \(the toy shop\)"):
        corpora.fetch("toy", tmp_path)
    assert names(tmp_path) == []


def test_no_public_location(tmp_path, monkeypatch):
    parts = {split: Part((File("toy/x.txt", "0" * 40),), 1) for split in table.SPLITS}
    monkeypatch.setitem(table.CORPORA, "toy", Entry("toy", "Toy", parts, "none", "the toy shop"))
    with pytest.raises(CeaeError, match=r"no public download location\); obtain it from its source \(the toy shop\)"):
        corpora.fetch("toy", tmp_path)


def test_a_folder_that_cannot_be_written(toy, tmp_path, write):
    write("toy", "a file where the folder should be")
    with pytest.raises(CeaeError, match="cannot be created"):
        corpora.fetch("toy", tmp_path)


def test_nothing_to_fetch_for_the_oracle_corpus(tmp_path):
    with pytest.raises(CeaeError, match="built in"):
        corpora.fetch("oracle", tmp_path)


def test_unknown_name_and_no_folder(monkeypatch):
    with pytest.raises(CeaeError, match="choose from oracle, ptb"):
        corpora.fetch("penn")
    monkeypatch.delenv("CEAE_DATA", raising=False)
    with pytest.raises(CeaeError, match="no data folder to put it in"):
        corpora.fetch("ptb")
