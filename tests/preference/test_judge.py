"""A judge fills a sheet: nothing asked twice, nothing lost, nothing hidden."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import answers, cost, folder, judge
from ceae_core.preference.answerlog import AnswerLog
from ceae_core.preference.client import Client, NoReply, Reply

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def where(sheet, tmp_path):
    folder.write(sheet, tmp_path / "sheet")
    return tmp_path / "sheet"


@pytest.fixture
def client(endpoint):
    return Client(endpoint.url, "judge-1", timeout=0.5, attempts=3, backoff=0.01, options={"temperature": 0.0})


def best(letter):
    """What an attentive judge replies that likes this model."""
    return lambda texts: str(1 + [text[0] for text in texts].index(letter))


def fill(where, sheet, client, variant="paper", **more):
    asked = judge.fill(where, sheet, client, variant, **more)
    return asked, judge.judged(where, sheet, variant, client.model, client.options)


def test_every_item_is_asked_once_in_the_order_of_the_sheet(where, sheet, client, endpoint):
    endpoint.say = best("B")
    asked, found = fill(where, sheet, client)
    assert asked == 12 and sorted(endpoint.counts.values()) == [1] * 12
    assert (found.choices == 1).all() and found.models == ("judge-1-0613",)
    given = found.answers()
    assert given.counts().tolist() == [0, 12, 0] and given.raters == ("judge-1 (paper)",)
    assert [item.position(1) for item in sheet.items] == given.positions[0].tolist()
    assert found.order_effects()["positions"] == [4, 4, 4] and found.order_effects()["consistent"] is None


def test_repeated_it_asks_nothing_and_says_the_same(where, sheet, client, endpoint):
    _, before = fill(where, sheet, client)
    asked, after = fill(where, sheet, client)
    assert asked == 0 and len(endpoint.asked) == 12 and (before.choices == after.choices).all()


def test_debiased_asks_every_rotation_and_reuses_what_is_known(where, sheet, client, endpoint):
    endpoint.say = best("C")
    fill(where, sheet, client)
    asked, found = fill(where, sheet, client, "debiased")
    assert asked == 24 and sorted(endpoint.counts.values()) == [1] * 36
    assert found.choices.shape == (3, 12) and (found.choices == 2).all()
    effects = found.order_effects()
    assert effects["consistent"] == 1 and effects["positions"] == [12, 12, 12] and effects["p"] == pytest.approx(1)


def test_a_judge_that_takes_the_first_is_found_out(where, sheet, client, endpoint):
    endpoint.say = lambda texts: "1"
    _, found = fill(where, sheet, client, "debiased")
    effects = found.order_effects()
    assert effects["positions"] == [36, 0, 0] and effects["p"] < 1e-12 and effects["consistent"] == 0
    assert effects["undecided_items"] == 12 and (found.answers().positions == answers.NONE).all()


def test_most_orders_decide(where, sheet, client, endpoint):
    """B unless A stands first: two of three orders, or three."""
    endpoint.say = lambda texts: "1" if texts[0][0] == "A" else best("B")(texts)
    _, found = fill(where, sheet, client, "debiased")
    assert (found.answers().choices == 1).all() and found.order_effects()["consistent"] == 0
    assert found.order_effects()["undecided_items"] == 0


@pytest.mark.parametrize("variant, undecided", [("paper", 3), ("debiased", 0)])
def test_what_cannot_be_read_is_kept_counted_and_not_asked_again(where, sheet, client, endpoint, variant, undecided):
    endpoint.say = best("A")
    endpoint.plan = [{"say": "I cannot choose."}, {"say": None}, {"say": "1 or 2"}]
    _, found = fill(where, sheet, client, variant, concurrency=1)
    effects = found.order_effects()
    assert effects["unparsable"] == 3 and len(endpoint.asked) == effects["questions"]
    logged = [json.loads(line) for line in (where / judge.LOG).read_text().splitlines()]
    assert [entry["text"] for entry in logged[:3]] == ["I cannot choose.", "", "1 or 2"]
    if variant == "paper":
        assert effects["undecided_items"] == undecided and found.answers().counts().tolist() == [9, 0, 0]
        assert fill(where, sheet, client)[0] == 0


def test_other_settings_are_other_questions(where, sheet, endpoint, client):
    fill(where, sheet, client)
    for other in (Client(endpoint.url, "judge-2", options=client.options),
                  Client(endpoint.url, "judge-1", options={"temperature": 1.0})):
        assert fill(where, sheet, other)[0] == 12
    assert fill(where, sheet, client)[0] == 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_questions_at_once_than_allowed(where, sheet, client, endpoint, concurrency):
    endpoint.delay = 0.05
    fill(where, sheet, client, concurrency=concurrency)
    assert endpoint.most == concurrency


def test_misbehaviour_that_passes_leaves_no_trace_in_the_answers(where, sheet, endpoint):
    client = Client(endpoint.url, "judge-1", timeout=0.5, attempts=9, backoff=0.01)
    endpoint.say = best("B")
    endpoint.plan = [429, "drop", 500, "garbage", 200, "slow", 503, "html"]
    _, found = fill(where, sheet, client, concurrency=2)
    assert (found.choices == 1).all() and len(endpoint.counts) == 12 and len(endpoint.asked) == 19
    attempts = [json.loads(line)["attempts"] for line in (where / judge.LOG).read_text().splitlines()]
    assert sum(attempts) == 19


def test_a_wrong_key_ends_it_at_once(where, sheet, client, endpoint):
    endpoint.plan = [401] * 50
    with pytest.raises(CeaeError, match="refuses, HTTP 401") as failure:
        judge.fill(where, sheet, client, "paper", concurrency=2)
    assert len(endpoint.asked) <= 2 and "sk-" not in str(failure.value)
    endpoint.plan = []
    assert fill(where, sheet, client)[0] == 12


def test_a_bad_request_ends_it_if_it_is_the_first_and_else_only_that_question(where, sheet, client, endpoint):
    endpoint.plan = [400]
    with pytest.raises(CeaeError, match="refuses, HTTP 400"):
        judge.fill(where, sheet, client, "paper", concurrency=1)
    endpoint.plan = [200, 400]
    with pytest.raises(judge.Incomplete, match=r"1 of \d+ questions have no reply \(item \d+: HTTP 400"):
        judge.fill(where, sheet, client, "paper", concurrency=1)
    with pytest.raises(judge.Incomplete, match="1 of 12"):
        judge.judged(where, sheet, "paper", client.model, client.options)
    assert fill(where, sheet, client)[0] == 1


def test_a_dead_endpoint_is_given_up(where, sheet, client, endpoint):
    endpoint.plan = [200, 200] + [503] * 99
    with pytest.raises(judge.Incomplete, match=r"10 of 12 questions have no reply \(item 7: HTTP 503, 3 times\)"):
        judge.fill(where, sheet, client, "paper", concurrency=1)
    assert 0 <= len(endpoint.asked) - (2 + 3 * judge.GIVE_UP) <= 1        # the next may be under way
    endpoint.plan = []
    assert fill(where, sheet, client)[0] == 10


class Scripted:
    """A client without a network: `script(count)` is what the count-th question meets."""

    endpoint, model, options = "http://nowhere/v1", "scripted", {}

    def __init__(self, script):
        self.script, self.count, self.lock = script, 0, threading.Lock()

    def ask(self, messages, stop):
        with self.lock:
            self.count += 1
            number = self.count
        return self.script(number, stop)


def reply(text="1"):
    return Reply(text, "stop", "m", 1, 1, 1)


def test_replies_under_way_are_kept_when_a_refusal_stops_the_work(where, sheet):
    def script(number, stop):
        if number == 1:
            time.sleep(0.2)
            raise NoReply("HTTP 401: no", 401)
        time.sleep(0.5)
        return reply()
    with pytest.raises(CeaeError, match="HTTP 401"):
        judge.fill(where, sheet, Scripted(script), "paper", concurrency=3)
    assert len((where / judge.LOG).read_text().splitlines()) == 2


def test_an_error_of_the_program_is_not_swallowed(where, sheet):
    def script(number, stop):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        judge.fill(where, sheet, Scripted(script), "paper")


def test_a_reply_that_hangs_does_not_hold_the_process(where, sheet, monkeypatch):
    monkeypatch.setattr(judge, "GRACE", 0.3)

    def script(number, stop):
        if number == 1:
            raise NoReply("HTTP 401: no", 401)
        time.sleep(20)
    began = time.monotonic()
    with pytest.raises(CeaeError):
        judge.fill(where, sheet, Scripted(script), "paper", concurrency=2)
    assert time.monotonic() - began < 3


# in processes of their own -------------------------------------------------------------------------------------------

def start(where, url, *more):
    command = [sys.executable, "-m", "ceae_core", "judge", str(where), "--endpoint", url, "--model", "judge-1",
               "--timeout", "5", "--backoff", "0.05", *more]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=where.parent)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_in_the_middle_asks_nothing_again_but_what_was_under_way(where, endpoint, how, key):
    endpoint.say, endpoint.delay = best("C"), 0.15
    process = start(where, endpoint.url, "--concurrency", "2", "--json")
    until(lambda: len(endpoint.asked) >= 6)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert out == "" and process.returncode == (-9 if how == signal.SIGKILL else 75)
    if how != signal.SIGKILL:
        assert err.strip().splitlines()[-1].endswith("repeat the command to continue")
    kept = len((where / judge.LOG).read_text().splitlines())
    before = len(endpoint.asked)
    assert 4 <= kept < 12 and before - kept <= 2
    if how != signal.SIGKILL:
        assert kept == before                               # what was under way has been waited for
    endpoint.delay = 0.0
    process = start(where, endpoint.url, "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["judge"]["asked_now"] == 12 - kept and found["shares"]["C"]["answers"] == 12
    twice = sum(count - 1 for count in endpoint.counts.values())
    assert twice == before - kept and len(endpoint.counts) == 12
    assert not any(key.encode() in path.read_bytes() for path in where.iterdir()) and key not in out + err


def test_two_processes_do_not_judge_one_sheet(where, endpoint):
    with AnswerLog(where / judge.LOG).writing():
        process = start(where, endpoint.url)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "another process is judging this sheet" in err and not endpoint.asked


# the estimate --------------------------------------------------------------------------------------------------------

def test_the_estimate(sheet):
    asked = judge.questions(sheet, "debiased", "m", {})
    assert len({question.key for question in asked}) == len(asked) == 36
    found = cost.estimate(asked, 2.5, 10.0)
    letters = sum(len(question.messages[0]["content"]) for question in asked)
    assert found["requests"] == 36 and found["prompt_tokens_estimate"] == round(letters / 4) + 36 * 8
    assert found["answer_tokens_estimate"] == 36 * 5
    assert found["cost_estimate"] == pytest.approx(
        (found["prompt_tokens_estimate"] * 2.5 + found["answer_tokens_estimate"] * 10.0) / 1e6)
    assert cost.estimate(asked, None, 1.0)["cost_estimate"] is None
    assert cost.estimate([], 1.0, 1.0)["cost_estimate"] == 0


def test_positions_shown_and_models_chosen_belong_together(where, sheet, client, endpoint):
    rng = np.random.default_rng(0)
    endpoint.say = lambda texts: str(rng.integers(1, 4))
    _, found = fill(where, sheet, client, "debiased")
    for k, question in enumerate(judge.questions(sheet, "debiased", client.model, client.options)):
        n, order = divmod(k, 3)
        shown = question.texts[found.positions[order, n]]
        assert shown[0] == sheet.models[found.choices[order, n]]
