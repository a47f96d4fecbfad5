"""One question to an endpoint that misbehaves in every way it can."""

import threading
import time
import traceback
from email.utils import formatdate

import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import client as clients
from ceae_core.preference.client import Client, NoReply, Stopped

QUESTION = [{"role": "user", "content": "1. a\n2. b"}]


@pytest.fixture
def ask(endpoint):
    """ask(*plan, **settings) -> the reply to one question; `ask.client` is the client."""
    def run(*plan, stop=None, **settings):
        endpoint.plan = list(plan)
        run.client = Client(endpoint.url, "judge-1", **{"backoff": 0.01, "timeout": 0.5, "attempts": 4} | settings)
        return run.client.ask(QUESTION, stop or threading.Event())
    return run


def test_a_reply_with_what_is_known_of_it(ask, endpoint):
    reply = ask(options={"temperature": 0.0, "max_tokens": 5})
    assert (reply.text, reply.finish, reply.model, reply.prompt_tokens, reply.answer_tokens, reply.attempts) == (
        "1", "stop", "judge-1-0613", 50, 1, 1)
    sent = endpoint.headers[0]
    assert sent["path"] == "/v1/chat/completions" and sent["request"] == {
        "model": "judge-1", "messages": QUESTION, "temperature": 0.0, "max_tokens": 5}
    assert any(str(value).startswith("Bearer ") for value in sent.values())


@pytest.mark.parametrize("step", [429, 500, 502, 503, 529, 408, 409, "drop", "slow", "garbage", "html", "list",
                                  "no choices"])
def test_what_passes_is_tried_again(ask, endpoint, step):
    reply = ask(step, step)
    assert reply.text == "1" and reply.attempts == 3 and len(endpoint.asked) == 3


@pytest.mark.parametrize("step, why", [(503, "HTTP 503, 4 times"), ("drop", "no connection, 4 times"),
                                       ("slow", "no reply in time, 4 times"), ("garbage", "no chat completion")])
def test_what_does_not_pass_is_given_up(ask, endpoint, step, why):
    with pytest.raises(NoReply, match=why) as failure:
        ask(*[step] * 9)
    assert len(endpoint.asked) == 4 and failure.value.status is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(ask, endpoint, status):
    with pytest.raises(NoReply, match=f"HTTP {status}: no good") as failure:
        ask(status)
    assert len(endpoint.asked) == 1 and failure.value.status == status


def test_the_pause_that_the_endpoint_wants_is_kept(ask, endpoint):
    ask((429, {"Retry-After": "1"}))
    first, second = endpoint.times
    assert 0.95 < second - first < 2


def test_all_threads_keep_the_pause(endpoint):
    endpoint.plan, endpoint.delay = [(429, {"Retry-After": "1"})], 0.05
    client, stop = Client(endpoint.url, "m", backoff=0.01), threading.Event()
    first = threading.Thread(target=client.ask, args=(QUESTION, stop))
    first.start()
    end = time.monotonic() + 20
    while client.pace.left() <= 0 and time.monotonic() < end:
        time.sleep(0.01)
    client.ask(QUESTION, stop)
    first.join()
    assert len(endpoint.times) == 3 and min(endpoint.times[1:]) - endpoint.times[0] > 0.95


def test_a_wish_beyond_all_patience_ends_the_attempt(ask, endpoint):
    with pytest.raises(NoReply, match="asks to wait 86400 s"):
        ask((429, {"Retry-After": "86400"}))
    assert len(endpoint.asked) == 1


@pytest.fixture
def pauses(monkeypatch):
    """pauses(attempts, backoff) -> seconds waited between attempts that all fail."""
    monkeypatch.setenv("OPENAI_API_KEY", "x")

    def of(attempts, backoff):
        waited = []

        class Stop(threading.Event):
            def wait(self, timeout=None):
                waited.append(timeout)
                return False
        client = Client("http://127.0.0.1:9/v1", "m", attempts=attempts, backoff=backoff)
        monkeypatch.setattr(client, "_try", lambda messages, attempt: ("HTTP 500", 0.0))
        with pytest.raises(NoReply):
            client.ask(QUESTION, Stop())
        return waited
    return of


def test_pauses_double_and_are_random(pauses):
    several = [pauses(6, 0.1) for _ in range(40)]
    for k, column in enumerate(zip(*several, strict=True)):
        longest = 0.1 * 2 ** k
        assert all(longest / 2 <= pause <= longest for pause in column)
        assert max(column) - min(column) > longest / 4


def test_no_pause_is_longer_than_the_longest(pauses):
    waited = pauses(12, 1.0)
    assert len(waited) == 11 and max(waited) <= clients.LONGEST_PAUSE and waited[-1] >= clients.LONGEST_PAUSE / 2


@pytest.mark.parametrize("step", [500, (429, {"Retry-After": "30"})])
def test_a_stop_ends_the_waiting_at_once(ask, endpoint, step):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        ask(*[step] * 9, stop=stop, backoff=20)
    assert time.monotonic() - began < 2 and len(endpoint.asked) == 1


@pytest.mark.parametrize("header, seconds", [(None, 0), ("", 0), ("3", 3), ("0.5", 0.5), ("-4", 0), ("soon", 0)])
def test_retry_after(header, seconds):
    assert clients.retry_after(header) == seconds


def test_retry_after_as_a_date():
    assert clients.retry_after(formatdate(time.time() + 40, usegmt=True)) == pytest.approx(40, abs=2)
    assert clients.retry_after(formatdate(time.time() - 40, usegmt=True)) == 0


# the key -------------------------------------------------------------------------------------------------------------

def test_the_key_shows_nowhere(ask, key, capsys, caplog):
    """The endpoint sends the key back, in errors and in a reply."""
    caplog.set_level("DEBUG")
    seen = []
    for step in (401, 400, 503, "drop", "garbage"):
        with pytest.raises(NoReply) as failure:
            ask(*[step] * 9)
        seen += [str(failure.value), repr(failure.value),
                 "".join(traceback.format_exception(failure.value))]
        assert failure.value.__cause__ is None
    assert "[key]" in seen[0]
    seen += [repr(ask({"say": f"2 {key}"})), repr(ask.client), str(ask.client), repr(vars(ask.client))]
    out = capsys.readouterr()
    seen += [out.out, out.err, caplog.text]
    assert not any(key in text for text in seen)


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_without_a_key(monkeypatch, value):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(CeaeError, match="OPENAI_API_KEY is not set; export it"):
        Client("http://127.0.0.1/v1", "m")


@pytest.mark.parametrize("value", ["sk-ключ", "sk-a\nb", "sk-\x07"])
def test_a_key_that_cannot_be_sent(monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(CeaeError, match="characters that no key has") as failure:
        Client("http://127.0.0.1/v1", "m")
    assert value not in str(failure.value)


def test_blanks_around_the_key_are_left_out(monkeypatch, endpoint):
    monkeypatch.setenv("OPENAI_API_KEY", " sk-1 \n")
    Client(endpoint.url, "m").ask(QUESTION, threading.Event())
    assert "Bearer sk-1" in map(str, endpoint.headers[0].values())


@pytest.mark.parametrize("url, said", [
    ("ftp://x/v1", "is no address"), ("localhost:80", "is no address"), ("", "is no address"), ("https://", "is no"),
    ("https://me:secret@host/v1", "without user"), ("https://host/v1?key=secret", "without user")])
def test_addresses_that_are_none(url, said):
    with pytest.raises(CeaeError, match=f"endpoint: .*{said}") as failure:
        clients.address(url)
    assert "secret" not in str(failure.value)
