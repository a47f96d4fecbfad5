from ceae_core.book import record, status

LOG = {"chapters": {
    "intro": {"status": "done", "parameters": {}, "seconds": 75.2, "finished": "2026-05-01T10:20:30+00:00",
              "runs": [{"chapter": "intro", "run": "<a>", "action": "trained", "seconds": 3.04},
                       {"run": "b", "action": "loaded", "seconds": 0.1}]},
    "bad": {"status": "failed", "parameters": {"scale": "smoke"}, "error": "..."},
    "status": {"status": "running", "parameters": {}}}}


def test_chapters_table():
    first, second = status.chapters(LOG).rows
    assert first == {"chapter": "intro", "outcome": "done", "duration": "1 min 15 s",
                     "finished (UTC)": "2026-05-01 10:20", "parameters": "defaults",
                     "runs": "1 trained, 1 loaded"}
    assert (second["chapter"], second["outcome"], second["parameters"]) == ("bad", "failed", "scale = smoke")


def test_runs_table_is_escaped():
    table = status.runs(LOG)
    assert [row["chapter"] for row in table.rows] == ["intro", "intro"]
    assert "&lt;a&gt;" in table._repr_html_() and "<a>" not in table._repr_html_()


def test_without_a_record(monkeypatch, tmp_path):
    monkeypatch.delenv(record.VARIABLE, raising=False)
    assert status.chapters().rows == [] and "<td>" in status.chapters()._repr_html_()
    (tmp_path / "record.json").write_text("{ cut")
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "record.json"))
    assert status.runs().rows == []


def test_versions_and_hardware_are_complete():
    versions = {row["package"]: row["version"] for row in status.versions().rows}
    assert versions["torch"].count(".") >= 2 and versions["papermill"] != "not installed"
    assert all(str(row["value"]) for row in status.hardware().rows)
