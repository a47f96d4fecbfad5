"""Small sheets, and an endpoint that misbehaves on command."""

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ceae_core.preference.sheet import Sheet

KEY = "sk-secret-0123456789"
# what a spreadsheet, a browser, CSV or HTML could take for something else than text
AWKWARD = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "'=1", "''quoted''", "'s good", "<unk> <unk> .",
           'he said "no" , twice', "two\nlines", "two\r\nlines", "", "</script><script>alert(1)</script>",
           "<b>&amp;</b>", "1;2,3\t4", "naïve café – 好", "\u2028x", "3 / 4", " padded ")


@pytest.fixture
def sheet():
    """12 items over three models."""
    return Sheet.of({name: [f"{name} {i} ." for i in range(12)] for name in ("A", "B", "C")}, 12, seed=3)


@pytest.fixture
def awkward_texts():
    return AWKWARD


@pytest.fixture
def awkward():
    """A sheet of every awkward text, against plain ones."""
    return Sheet.of({"odd": AWKWARD, "plain": [f"plain {i}" for i in range(len(AWKWARD))]}, len(AWKWARD), seed=1)


@pytest.fixture
def key():
    """What must show nowhere."""
    return KEY


class Endpoint:
    """An OpenAI-compatible server on this machine.  `plan` holds what the next requests meet, then all succeed.

    A step is an HTTP status, (status, headers), "slow", "drop", "garbage", "html", "list", "no choices", or
    {"say": text}.  `say(texts)` makes the reply to candidates.
    """

    def __init__(self):
        self.plan, self.say = [], lambda texts: "1"
        self.asked, self.headers, self.times = [], [], []
        self.delay, self.most, self._now, self._lock = 0.0, 0, 0, threading.Lock()
        handler = type("Handler", (BaseHTTPRequestHandler,), {
            "do_POST": lambda own: self._answer(own), "log_message": lambda own, *rest: None})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    @property
    def counts(self):
        """Question -> how often it was asked."""
        return Counter(self.asked)

    def _answer(self, own):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            self._reply(own)
        except (BrokenPipeError, ConnectionResetError):
            pass                                            # the client has given up
        finally:
            with self._lock:
                self._now -= 1

    def _reply(self, own):
        request = json.loads(own.rfile.read(int(own.headers["content-length"])))
        question = request["messages"][-1]["content"]
        with self._lock:
            self.asked.append(question)
            self.headers.append(dict(own.headers) | {"request": request, "path": own.path})
            self.times.append(time.monotonic())
            step = self.plan.pop(0) if self.plan else 200
        time.sleep(self.delay)
        status, headers = step if isinstance(step, tuple) else (step if isinstance(step, int) else 200, {})
        texts = re.findall(r"^\d+\. (.*)$", question, re.MULTILINE)
        said = step["say"] if isinstance(step, dict) else self.say(texts)
        body = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": f"{request['model']}-0613",
                           "choices": [{"index": 0, "finish_reason": "stop",
                                        "message": {"role": "assistant", "content": said}}],
                           "usage": {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}})
        if status >= 400:
            body = json.dumps({"error": {"message": f"no good: {own.headers['authorization']}", "code": "x"}})
        body = {"garbage": '{"choices": [', "html": "<html>busy</html>", "list": "[]",
                "no choices": "{}"}.get(step, body) if isinstance(step, str) else body
        if step == "slow":
            time.sleep(2.0)
        if step == "drop":
            own.connection.close()
            return
        own.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body.encode()))}.items():
            own.send_header(name, value)
        for name, value in headers.items():
            own.send_header(name, value)
        own.end_headers()
        own.wfile.write(body.encode())


@pytest.fixture
def endpoint(monkeypatch):
    """The endpoint, with a key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()
