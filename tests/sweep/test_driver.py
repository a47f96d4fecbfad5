"""The loop of a sweep with an engine that follows a script."""

from collections import defaultdict
from types import SimpleNamespace

import pytest

from ceae_core.sweep import display, driver
from ceae_core.sweep.driver import Finished, State
from ceae_core.sweep.policy import BAD, BUSY, DIED, DIVERGED, DONE, MEMORY, Ending


class Scripted:
    """Each run ends as its script says, one look after it began."""

    def __init__(self, script, slots=2):
        self.script = defaultdict(lambda: [DONE], {name: list(endings) for name, endings in script.items()})
        self.slots, self.alive, self.together, self.started, self.stopped = slots, [], [], [], False

    def start(self, spec):
        self.alive.append(spec.id)
        self.started.append(spec.id)
        self.together.append(set(self.alive))

    def ended(self):
        gone, self.alive = self.alive, []
        return [(name, Ending(self.script[name].pop(0), f"{name} ended")) for name in gone]

    def permille(self, run_id):
        return 500

    def stop(self):
        self.stopped = True


def run(script, names="abcd", slots=2, monkeypatch=None, **more):
    engine = Scripted(script, slots)
    specs = [SimpleNamespace(id=name) for name in names]
    found = driver.train(specs, engine, sleep=lambda seconds: None, **more)
    return {each.run_id: each for each in found}, engine


def test_every_run_comes_to_its_end_in_order_with_all_places_in_use():
    found, engine = run({})
    assert list(found) == list("abcd") == engine.started and all(each.is_good for each in found.values())
    assert max(map(len, engine.together)) == 2 and engine.stopped


def test_endings_that_are_not_good_do_not_stop_the_others():
    found, engine = run({"b": [BAD], "c": [DIVERGED]})
    assert {name: each.ending.how for name, each in found.items()} == {"a": DONE, "b": BAD, "c": DIVERGED, "d": DONE}
    assert engine.started == list("abcd") and [name for name, each in found.items() if not each.is_good] == ["b", "c"]


def test_the_dead_are_followed_at_once_and_at_most_three_times():
    found, engine = run({"a": [DIED, DIED, DONE], "b": [DIED] * 9})
    assert found["a"].is_good and found["a"].attempts == 3
    assert engine.started.count("b") == 4 and "it died 4 times; b ended" == found["b"].why


def test_what_lacked_memory_gets_the_machine_for_itself():
    found, engine = run({"a": [MEMORY, DONE], "c": [MEMORY, MEMORY]}, slots=3)
    second = [group for group in engine.together[4:]]
    assert found["a"].is_good and {frozenset(group) for group in second} == {frozenset("a"), frozenset("c")}
    assert found["c"].ending.how == MEMORY and found["c"].why.startswith("it does not fit into memory, not even alone")


def test_a_run_in_work_elsewhere_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", 0.0)
    found, engine = run({"a": [BUSY, BUSY, DONE]}, "ab")
    assert found["a"].is_good and found["a"].attempts == 1 and engine.started.count("a") == 3
    assert list(found) == ["b", "a"]


def test_whatever_stops_it_stops_the_engine():
    engine = Scripted({})

    def interrupted(state):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        driver.train([SimpleNamespace(id="a")], engine, interrupted)
    assert engine.stopped


def test_the_state_that_is_shown():
    states = []
    run({"b": [BAD]}, "abc", slots=1, show=lambda state: states.append((len(state.finished), state.failed,
                                                                        dict(state.running), state.permille)))
    assert states == [(1, 0, {}, 1000), (2, 1, {}, 2000), (3, 1, {}, 3000)]


# what a person sees ---------------------------------------------------------------------------------------------------

def state() -> State:
    return State(6, {"vae-x-s1-0": 450, "ceae-x-s1-0": 0},
                 [Finished("a", Ending(DONE), 1, 2.0), Finished("b", Ending(BAD, "no such file"), 1, 0.1)])


def test_the_head_counts_and_says_what_is_left():
    said = display.head(state(), 4, 49.0)
    assert said == "5 of 10 done, 1 failed, 2 running, 1 min 11 s left"         # 2450 of 6000 in 49 s
    assert "left" not in display.head(State(2), 0, 3.0)
    assert "1 in work elsewhere" in display.head(State(2, elsewhere=1), 0, 3.0)


def test_the_table_of_a_terminal():
    head, first, second, failed = display.lines(state(), 0, 49.0, 200)
    assert head.startswith("sweep: 1 of 6 done")
    assert first.count("█") == 10 and " 45%  vae-x-s1-0" in first and "█" not in second
    assert failed == "  failed  b: bad"
    assert all(len(line) < 20 for line in display.lines(state(), 0, 49.0, 20))


def test_the_table_writes_over_itself(monkeypatch, capsys):
    monkeypatch.setattr(display, "is_live", lambda: True)
    monkeypatch.setattr(display, "REFRESH", 0.0)
    with display.shown(6, 0) as tell:
        tell(state())
        tell(state())
    said = capsys.readouterr().err
    assert said.count("sweep: 1 of 6 done") == 3 and said.count("\x1b[4A\r\x1b[J") == 2 and said.endswith("bad\n")


def test_a_log_gets_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr("ceae_core.progress.LOG_EVERY", 0.0)
    with display.shown(6, 4) as tell:
        tell(state())
    assert "5 of 10 done, 1 failed, 2 running: 41%" in capsys.readouterr().err
