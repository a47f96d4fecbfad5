"""The log of replies: what was written is there, what was torn is not, and no two processes write."""

import json

import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import answerlog
from ceae_core.preference.answerlog import AnswerLog


def test_entries_are_there_at_once_and_later(tmp_path):
    log = AnswerLog(tmp_path / "judge.jsonl")
    assert log.entries == {}
    for k in range(3):
        log.append({"key": f"k{k}", "text": "naïve\n – "})
        assert len((tmp_path / "judge.jsonl").read_bytes().splitlines()) == k + 1
    assert AnswerLog(tmp_path / "judge.jsonl").entries == log.entries
    assert log.entries["k1"]["text"] == "naïve\n – "


def test_every_line_is_flushed_to_the_disk(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(answerlog.os, "fsync", lambda descriptor: flushed.append(
        len((tmp_path / "judge.jsonl").read_bytes().splitlines())))
    log = AnswerLog(tmp_path / "judge.jsonl")
    log.append({"key": "a"})
    log.append({"key": "b"})
    assert flushed == [1, 2]


@pytest.mark.parametrize("torn", ['{"key": "c", "te', '{"key": "c"}', "{", "\x00\x00"])
def test_a_torn_last_line_does_not_count_and_goes(tmp_path, torn):
    path = tmp_path / "judge.jsonl"
    log = AnswerLog(path)
    log.append({"key": "a"})
    log.append({"key": "b"})
    with path.open("a", encoding="utf-8") as file:
        file.write(torn)
    again = AnswerLog(path)
    assert set(again.entries) == {"a", "b"}
    with again.writing():
        again.append({"key": "c"})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"text": 1}', b"\xff", b""])
def test_a_damaged_line_in_the_middle_is_an_error(tmp_path, line):
    path = tmp_path / "judge.jsonl"
    path.write_bytes(b'{"key": "a"}\n' + line + b'\n{"key": "b"}\n')
    with pytest.raises(CeaeError, match="judge.jsonl, line 2: is no reply"):
        AnswerLog(path)


def test_only_one_process_writes(tmp_path):
    one, two = AnswerLog(tmp_path / "judge.jsonl"), AnswerLog(tmp_path / "judge.jsonl")
    with one.writing(), pytest.raises(CeaeError, match="another process is judging this sheet"), two.writing():
        pass
    with two.writing():
        two.append({"key": "a"})
    with one.writing():
        assert set(one.entries) == {"a"}            # what others wrote in between is known


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    log = AnswerLog(tmp_path / "judge.jsonl")
    log.append({"key": "a"})

    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(answerlog.os, "fsync", full)
    with pytest.raises(CeaeError, match="judge.jsonl: cannot be written .No space left"):
        log.append({"key": "b"})
    assert set(log.entries) == {"a"} and (tmp_path / "judge.jsonl").read_bytes() == b'{"key": "a"}\n'
