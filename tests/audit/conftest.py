"""A misprint made on purpose: findings must notice when a number that they rest on changes."""

import pytest

from ceae_core.report import published


@pytest.fixture
def misprint(monkeypatch):
    """`misprint(row, dataset, metric, add, column="value")` changes one printed number for the rest of a test."""
    def change(row, dataset, metric, add, column="value"):
        load = published.load
        where = published.table_of(row)

        def changed(paper, table):
            frame = load(paper, table)
            if (paper, table) != where:
                return frame
            frame = frame.copy()
            chosen = (frame["row"] == row) & (frame["dataset"] == dataset) & (frame["metric"] == metric)
            assert chosen.sum() == 1
            frame[column] = frame[column].astype(float).where(~chosen, frame[column] + add)
            return frame
        monkeypatch.setattr(published, "load", changed)
    return change
