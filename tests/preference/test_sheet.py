"""Sheets: balanced orders, every candidate once, and an id that names their content."""

from collections import Counter

import numpy as np
import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference.sheet import Sheet, balanced_orders


@pytest.mark.parametrize("models", [2, 3, 4, 5])
@pytest.mark.parametrize("items", [1, 2, 7, 12, 200])
def test_each_model_stands_at_each_position_equally_often_up_to_one(models, items):
    orders = np.array(balanced_orders(items, models, np.random.default_rng(0)))
    assert orders.shape == (items, models) and (np.sort(orders, 1) == np.arange(models)).all()
    for place in range(models):
        counts = np.bincount(orders[:, place], minlength=models)
        assert counts.max() - counts.min() <= 1


def test_all_orders_occur():
    """Rotations of random permutations: all six orders of three models, about equally often (2,400 draws, 5 sd)."""
    counts = Counter(balanced_orders(2400, 3, np.random.default_rng(1)))
    assert len(counts) == 6 and all(abs(n - 400) < 5 * 20 for n in counts.values())


def test_a_sheet_holds_one_candidate_of_every_model_in_every_item(sheet):
    for item in sheet.items:
        assert [item.texts[item.position(m)][0] for m in range(3)] == list(sheet.models)
    for model, name in enumerate(sheet.models):
        assert {item.texts[item.position(model)] for item in sheet.items} == {f"{name} {i} ." for i in range(12)}
    assert (sheet.positions() == 4).all() and sheet.distinct() == dict.fromkeys("ABC", 12)
    assert [item.number for item in sheet.items] == list(range(1, 13))


def test_the_sheet_follows_from_texts_and_seed():
    texts = {name: [f"{name} {i}" for i in range(30)] for name in "ab"}
    one, same, other = (Sheet.of(texts, 20, seed) for seed in (1, 1, 2))
    assert one == same and one.id == same.id and one.id != other.id and one.items != other.items
    assert one.id[0] == "s" and len(one.id) == 13


@pytest.mark.parametrize("change", [{"runs": {"a": "run-1"}}, {"made": {"temperature": 0.5}}])
def test_the_id_names_everything_that_the_key_holds(change):
    texts = {name: [f"{name} {i}" for i in range(4)] for name in "ab"}
    assert Sheet.of(texts, 4, 1).id != Sheet.of(texts, 4, 1, **change).id


def test_the_sampled_texts_are_in_random_order_and_partners_vary():
    texts = {name: [f"{name} {i:03d}" for i in range(100)] for name in "ab"}
    sheet = Sheet.of(texts, 100, seed=0)
    partners = [(item.texts[item.position(0)][2:], item.texts[item.position(1)][2:]) for item in sheet.items]
    assert sum(a == b for a, b in partners) < 10 and [a for a, _ in partners] != sorted(a for a, _ in partners)


def test_equal_candidates_wait_for_another_item():
    """Both models say the same six things; no item may hold one of them twice, and none is lost."""
    same = [f"text {i}" for i in range(6)]
    for seed in range(20):
        try:
            sheet = Sheet.of({"a": same, "b": same + ["spare 1", "spare 2"]}, 6, seed)
        except CeaeError:
            pytest.fail(f"seed {seed}: eight texts suffice for six items")
        assert all(len(set(item.texts)) == 2 for item in sheet.items)
        assert len({item.texts[item.position(0)] for item in sheet.items}) == 6


def test_equal_candidates_where_they_are_allowed():
    sheet = Sheet.of({"a": ["x"] * 5, "b": ["x"] * 4 + ["y"]}, 5, 1, allow_equal=True)
    assert sorted(item.texts[item.position(1)] for item in sheet.items) == ["x"] * 4 + ["y"]
    assert sheet.distinct() == {"a": 1, "b": 2}


@pytest.mark.parametrize("texts, items, said", [
    ({"a": ["x"]}, 1, "at least 2 models, not 1"), ({}, 1, "at least 2 models, not 0"),
    ({"a": ["x"], "b": ["y"]}, 0, "items: must be at least 1"),
    ({"a": ["x"], "b": ["y"]}, 2, "the 1 texts of a do not suffice for 2 items"),
    ({"a": ["x", "x", "z"], "b": ["x", "x", "x"]}, 3, "3 of its texts are the same")])
def test_what_makes_no_sheet(texts, items, said):
    with pytest.raises(CeaeError, match=said):
        Sheet.of(texts, items, 1)
