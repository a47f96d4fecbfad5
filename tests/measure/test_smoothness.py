"""Steps in words along a line, and the course of a score."""

import pytest

from ceae_core.measure.smoothness import JUMP, Course, rank_course, rises

LINE = ["a b c d".split(), "a b c d".split(), "a x c d".split(), "z y x w".split()]


def test_a_line_by_hand() -> None:
    course = Course.of(LINE, ("a b c".split(), "z y x w".split()))
    assert course.steps == [0, 1, 4] and course.ends == 4 and course.distinct == 3
    assert course.from_start == [0, 0, 1, 4] and course.from_end == [4, 4, 4, 0]
    assert course.detour == 5 / 4 and course.largest == 1.0
    assert course.jumps == pytest.approx(1 / 3) and course.still == pytest.approx(1 / 3)
    assert course.gone() == [0, 0, 0.25, 1.0]
    assert course.source_errors == 1 and course.source_words == 7 and course.word_errors == pytest.approx(1 / 7)


def test_an_even_line_is_a_shortest_way_without_jumps() -> None:
    words = "a b c d e f g h".split()
    line = [["z"] * k + words[k:] for k in range(9)]
    course = Course.of(line, (line[0], line[-1]))
    assert (course.detour, course.jumps, course.still, course.distinct) == (1.0, 0.0, 0.0, 9)
    assert course.largest == 1 / 8 and course.word_errors == 0


def test_a_step_of_exactly_half_the_way_is_no_jump() -> None:
    line = ["a b".split(), "z b".split(), "z y".split()]
    assert JUMP == 0.5 and Course.of(line, (line[0], line[-1])).jumps == 0.0


def test_no_ratio_where_both_ends_are_one_sentence() -> None:
    line = [["a"], ["b"], ["a"]]
    course = Course.of(line, (["a"], ["c"]))
    assert course.ends == 0 and course.steps == [1, 1] and course.still == 0.0
    assert (course.detour, course.largest, course.jumps, course.gone()) == (None,) * 4
    collapsed = Course.of([["a"]] * 4, (["b"], ["c"]))
    assert collapsed.still == 1.0 and collapsed.distinct == 1 and collapsed.word_errors == 1.0


def test_new_sentences_and_the_nearer_end() -> None:
    """Points 1 and 2: the first is the decoded start itself, the second nearer to it although it weighs less."""
    course = Course.of(LINE, (LINE[0], LINE[-1]))
    weights = [0.0, 0.2, 0.8, 1.0]
    assert course.new([1, 2]) == 0.5
    assert course.nearer([1], weights) == 1.0 and course.nearer([2], weights) == 0.0
    even = Course.of([["a", "b"], ["a", "y"], ["z", "y"]], (["a"], ["b"]))
    assert even.nearer([1], [0.0, 0.2, 1.0]) == even.nearer([1], [0.0, 0.8, 1.0]) == 0.0       # as near to both


@pytest.mark.parametrize("scores, expected", [
    ([0.1, 0.2, 0.9], 1.0), ([0.9, 0.5, 0.1], -1.0), ([0.5, 0.5, 0.5], 0.0), ([0.1, 0.3, 0.2], 0.5)])
def test_rank_course(scores, expected) -> None:
    assert rank_course(scores) == pytest.approx(expected)


@pytest.mark.parametrize("scores, expected", [
    ([0.1, 0.5, 0.9], True), ([0.1, 0.5, 0.46, 0.9], True), ([0.1, 0.5, 0.44, 0.9], False),
    ([0.9, 0.5, 0.1], False), ([0.5, 0.5], False), ([0.5, 0.54], False), ([0.5, 0.56], True)])
def test_rises(scores, expected) -> None:
    assert rises(scores) is expected
