"""One question to an OpenAI-compatible endpoint: patient with its failures, silent about the key.

The key comes from the environment variable OPENAI_API_KEY and stays inside the client: whatever else leaves this module
(replies, errors, representations) has it blotted out.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ceae_core.errors import CeaeError

VARIABLE = "OPENAI_API_KEY"
BLOT = "[key]"
TRANSIENT = (408, 409, 429)         # HTTP statuses after which the same request may succeed, with all from 500 on
REFUSED = (401, 403, 404)           # the key, the rights or the address are wrong: no other question would fare better
LONGEST_PAUSE = 60.0                # seconds that back-off grows to
LONGEST_WISH = 600.0                # seconds of a Retry-After that are waited; longer ones end the attempt


@dataclass(frozen=True)
class Reply:
    """What came back."""

    text: str                       # "" where the endpoint sent nothing
    finish: str | None              # why the model stopped: "stop", "length", "content_filter"
    model: str | None               # what the endpoint calls the model that answered
    prompt_tokens: int | None       # as the endpoint counts
    answer_tokens: int | None
    attempts: int


class NoReply(Exception):
    """A question remains without a reply.  `status` is the HTTP status with which it was refused, if it was."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Stopped(Exception):
    """The work was stopped while a question waited for its next attempt."""


class Pace:
    """One pause for all threads: after "too many requests" none of them asks before its time."""

    def __init__(self) -> None:
        self._until, self._lock = 0.0, threading.Lock()

    def pause(self, seconds: float) -> None:
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def left(self) -> float:
        return self._until - time.monotonic()


class Client:
    """Asks one model at one endpoint.  `options` go with every request: temperature, max_tokens.

    Raises CeaeError for an address with a password or a query in it, and without a key in the environment.
    """

    def __init__(self, endpoint: str, model: str, *, timeout: float = 60.0, attempts: int = 6, backoff: float = 1.0,
                 options: Mapping[str, Any] | None = None) -> None:
        import openai
        self.endpoint, self.model, self.attempts, self.backoff = address(endpoint), model, attempts, backoff
        self.options, self.pace, key = dict(options or {}), Pace(), _key()
        self.scrub: Callable[[str], str] = lambda text: text.replace(key, BLOT)
        self._client = openai.OpenAI(api_key=key, base_url=self.endpoint, timeout=timeout, max_retries=0)

    def __repr__(self) -> str:
        return f"Client({self.model!r} at {self.endpoint})"

    def ask(self, messages: Sequence[Mapping[str, str]], stop: threading.Event) -> Reply:
        """The reply, after as many attempts as it takes.

        Between attempts it waits as long as the endpoint says (Retry-After), at least `backoff` seconds doubled each
        time, less a random part so that threads do not return together.  Raises NoReply, or Stopped once `stop` is
        set.
        """
        for attempt in range(1, self.attempts + 1):
            while (left := self.pace.left()) > 0 and not stop.wait(left):
                pass
            if stop.is_set():
                raise Stopped
            why, wish = self._try(messages, attempt)
            if isinstance(why, Reply):
                return why
            if wish > LONGEST_WISH:
                raise NoReply(f"{why}, and asks to wait {wish:.0f} s")
            pause = min(LONGEST_PAUSE, self.backoff * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
            if wish:
                self.pace.pause(wish)
            if attempt < self.attempts and stop.wait(pause):
                raise Stopped
        raise NoReply(f"{why}, {self.attempts} times")

    def _try(self, messages: Sequence[Mapping[str, str]], attempt: int) -> tuple[Reply | str, float]:
        """The reply; or why there is none yet, with the seconds that the endpoint asks to wait."""
        import openai
        try:
            made = self._client.chat.completions.create(model=self.model, messages=list(messages), **self.options)
            return self._read(made, attempt), 0.0
        except openai.APIStatusError as error:
            status = error.status_code
            if status not in TRANSIENT and status < 500:
                raise NoReply(f"HTTP {status}: {self.scrub(_message(error))}", status) from None
            return f"HTTP {status}", retry_after(error.response.headers.get("retry-after"))
        except openai.APITimeoutError:
            return "no reply in time", 0.0
        except openai.APIConnectionError:
            return "no connection", 0.0
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, IndexError) as error:
            return f"a reply that is no chat completion ({type(error).__name__})", 0.0

    def _read(self, made: Any, attempt: int) -> Reply:
        choice, usage = made.choices[0], made.usage
        text = choice.message.content or choice.message.refusal or ""
        return Reply(self.scrub(str(text)), choice.finish_reason, self.scrub(str(made.model)) if made.model else None,
                     usage.prompt_tokens if usage else None, usage.completion_tokens if usage else None, attempt)


def address(endpoint: str) -> str:
    """The address of an endpoint, without a slash at its end.  Raises CeaeError for one that cannot or must not be."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CeaeError("endpoint: is no address of the form https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise CeaeError(f"endpoint: write the address without user, password and query; the key comes from {VARIABLE}")
    return endpoint.rstrip("/")


def _key() -> str:
    key = os.environ.get(VARIABLE, "").strip()
    if not key:
        raise CeaeError(f"{VARIABLE} is not set; export it (any word will do for an endpoint that takes no key)")
    if not (key.isascii() and key.isprintable()):
        raise CeaeError(f"{VARIABLE}: holds characters that no key has; export it again")
    return key


def retry_after(header: str | None) -> float:
    """Seconds from a Retry-After header, which has seconds or a date (RFC 9110, sec. 10.2.3); 0 for none."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _message(error: Any) -> str:
    """What the endpoint says about an error, in one line of at most 300 characters."""
    body = error.body if isinstance(error.body, Mapping) else {}
    return " ".join(str(body.get("message") or error.message).split())[:300]
