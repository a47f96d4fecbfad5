"""`ceae sheet` and `ceae judge` as users type them: results on stdout, one clear line for every mistake."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ceae_core.cli import main
from ceae_core.preference import folder

SMALL = ["--set", "batch_size=64", "--set", "precision=fp32", "--set", "iw_samples=2", "--set", "iw_sentences=4",
         "--device", "cpu"]
KEY = "sk-very-secret-42"


@pytest.fixture
def ceae(ceae):
    """The command, which never says the key."""
    def run(*arguments):
        said = ceae(*arguments)
        assert KEY not in said.out + said.err
        return said
    return run


@pytest.fixture(scope="module")
def store(reviews, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    for family in ("vae", "ae", "ceae"):
        assert main(["train", family, "--corpus", str(reviews), "--scale", "smoke", "--runs", str(path), *SMALL]) == 0
    return path


@pytest.fixture
def made(ceae, tmp_path):
    """A folder with a sheet of 12 items over two texts."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} {i} .\n" for i in range(12)))
    assert ceae("sheet", "make", "--text", "A=a.txt", "--text", "B=b.txt", "--items", 12, "--out", "sheet").status == 0
    return tmp_path / "sheet"


def filled(where, name, choose):
    sheet = folder.load(where)
    path = where.parent / name
    path.write_bytes(folder.to_csv(sheet, {item.number: choose(item) for item in sheet.items}).encode())
    return path


@pytest.fixture
def endpoint(monkeypatch):
    """An endpoint that replies what `replies` yields next (text or HTTP status), then always "1"."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        replies, asked = [], []

        def log_message(self, *rest):
            pass

        def do_POST(self):
            self.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            step = self.replies.pop(0) if self.replies else "1"
            status = step if isinstance(step, int) else 200
            body = {"error": {"message": f"no {self.headers['authorization']}"}} if status != 200 else {
                "id": "x", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": step}}]}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    Handler.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield Handler
    server.shutdown()
    server.server_close()


# sheets --------------------------------------------------------------------------------------------------------------

def test_a_sheet_of_three_runs_filled_and_scored(ceae, store, tmp_path):
    arguments = ("sheet", "make", "vae-", "ceae-", "ae-reviews", "--items", 30, "--seed", 1, "--out", "out",
                 "--runs", store, "--device", "cpu")
    said = ceae(*arguments, "--json")
    assert said.status == 0 and said.err == ""
    assert said.json["items"] == 30 and said.json["written"] == ["sheet.csv", "form.html", "key.json"]
    assert [m["model"] for m in said.json["models"]] == ["vae", "ceae", "ae"]
    assert all((store / m["run"]).is_dir() for m in said.json["models"])
    again = ceae(*arguments)
    assert again.status == 0 and "already complete, nothing changed" in again.out
    assert "Give form.html or sheet.csv to the raters and keep key.json" in again.out
    other = ceae(*arguments, "--temperature", 0.5)
    assert other.status == 2 and "out: holds another sheet" in other.err

    path = filled(tmp_path / "out", "answers.csv", lambda item: item.position(1))
    found = ceae("sheet", "score", "out", path, "--json").json
    assert found["shares"]["ceae"]["answers"] == 30 and found["shares"]["ceae"]["share"] == 1.0
    assert found["raters"] == ["answers"] and found["fleiss_kappa"] is None and found["positions"]["p"] == 1.0
    assert found["chance"]["p"] < 1e-10 and found["pairs"][0]["p_holm"] < 1e-6
    assert {"share", "low", "high", "p_chance", "answers", "model"} == set(found["shares"]["vae"])


def test_json_before_or_behind_the_action(ceae, made, tmp_path):
    path = filled(made, "answers.csv", lambda item: 0)
    behind = ceae("sheet", "score", made, path, "--json")
    assert ceae("sheet", "--json", "score", made, path).json == behind.json and behind.json["answers"] == 12


def test_several_raters_for_people(ceae, made, tmp_path):
    one, two = (filled(made, f"{name}.csv", lambda item, m=m: item.position(m if item.number > 3 else 0))
                for m, name in enumerate(("ada", "ben")))
    said = ceae("sheet", "score", made, one, two)
    assert said.status == 0 and "24 answers to 12 items by ada; ben" in said.out
    assert "Fleiss' kappa" in said.out and "design effect" in said.out
    assert "15" in said.out and "62.5 %" in said.out and "A - B" in said.out and "p (Holm)" in said.out
    assert "a difference of 5 points takes" in said.out


def test_collapsed_models_need_allow_equal(ceae, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("the same .\n" * 4)
    arguments = ("sheet", "make", "--text", "A=a.txt", "--text", "B=b.txt", "--items", 4, "--out", "same")
    refused = ceae(*arguments)
    assert refused.status == 2 and "4 of its texts are the same" in refused.err
    assert ceae(*arguments, "--allow-equal", "--json").json["models"][0]["distinct"] == 1


def test_open_items_need_partial(ceae, made):
    path = filled(made, "answers.csv", lambda item: 0 if item.number < 9 else None)
    said = ceae("sheet", "score", made, path)
    assert said.status == 2 and "4 of 12 items (9, 10, 11, 12)" in said.err and said.err.count("\n") == 1
    assert ceae("sheet", "score", made, path, "--partial", "--json").json["open"] == 4


@pytest.mark.parametrize("arguments, said", [
    (["make", "--out", "x"], "at least 2 models, not 0"), (["make", "nothing", "--out", "x"], "run 'nothing'"),
    (["make", "--text", "A", "--out", "x"], "--text A: write NAME=FILE"),
    (["make", "--text", "A=none.txt", "--out", "x"], "--text A=none.txt: cannot be read"),
    (["make", "--text", "A=a.txt", "--text", "B=b.txt", "--items", "13", "--out", "x"], "do not suffice for 13 items"),
    (["make", "--text", "A=a.txt", "--text", "B=b.txt", "--items", "0", "--out", "x"], "items: must be at least 1"),
    (["make", "--max-length", "0", "--out", "x"], "--max-length must be at least 1"),
    (["score", "x", "a.csv"], "there is no sheet here"), (["score", "sheet", "none.csv"], "none.csv: cannot be read"),
    (["score", "sheet", "a.txt"], "lacks"), (["make"], "--out"), (["score", "sheet"], "ANSWERS"), ([], "make|score"),
    (["bake"], "invalid choice")])
def test_mistakes_are_one_line(ceae, made, arguments, said):
    found = ceae("sheet", *arguments)
    assert found.status == 2 and found.out == "" and said in found.err and found.err.count("\n") == 1


# a judge -------------------------------------------------------------------------------------------------------------

def test_a_judge_and_then_nothing_is_asked_again(ceae, made, endpoint):
    endpoint.replies = ["2", "I cannot say", 429, 500]
    arguments = ("judge", made, "--endpoint", endpoint.url, "--model", "m", "--backoff", 0.01, "--concurrency", 1)
    found = ceae(*arguments, "--json").json
    expected = {"asked_now": 12, "unparsable": 1, "undecided_items": 1, "variant": "paper", "questions": 12,
                "answered_as": ["m-1"], "name": "m (paper)", "positions": [10, 1]}
    assert found["judge"] | expected == found["judge"]
    assert found["answers"] == 11 and found["open"] == 1 and len(endpoint.asked) == 14
    assert endpoint.asked[0]["temperature"] == 0.0 and "max_tokens" not in endpoint.asked[0]
    again = ceae(*arguments)
    assert again.status == 0 and len(endpoint.asked) == 14
    assert "12 questions, 1 replies name no candidate, 1 items are undecided" in again.out

    scored = ceae("sheet", "score", made, found["answers_file"], "--partial", "--json").json
    assert scored["shares"] == found["shares"] and scored["raters"] == ["m (paper)"]
    assert not any(KEY.encode() in path.read_bytes() for path in made.rglob("*") if path.is_file())


def test_debiased_reports_the_order(ceae, made, endpoint):
    found = ceae("judge", made, "--endpoint", endpoint.url, "--model", "m", "--variant", "debiased", "--temperature",
                 "none", "--max-tokens", 3, "--json").json["judge"]
    assert found["questions"] == 24 and found["positions"] == [24, 0] and found["p"] < 1e-6
    assert found["consistent"] == 0 and found["undecided_items"] == 12
    assert endpoint.asked[0]["max_tokens"] == 3 and "temperature" not in endpoint.asked[0]


def test_a_judge_without_any_decision_is_still_reported(ceae, made, endpoint):
    said = ceae("judge", made, "--endpoint", endpoint.url, "--model", "m", "--variant", "debiased")
    assert said.status == 0 and "12 items are undecided" in said.out and "positions replied: 24, 0" in said.out


def test_a_dry_run_asks_nothing_and_needs_no_key(ceae, made, endpoint, monkeypatch):
    arguments = ("judge", made, "--endpoint", endpoint.url, "--model", "m")
    ceae(*arguments)
    asked = len(endpoint.asked)
    monkeypatch.delenv("OPENAI_API_KEY")
    dry = (*arguments, "--variant", "debiased", "--dry-run")
    found = ceae(*dry, "--price-in", 2, "--price-out", 8, "--json").json
    assert found["requests"] == 12 and found["answered"] == 12 and found["questions"] == 24
    assert found["cost_estimate"] == pytest.approx(
        (2 * found["prompt_tokens_estimate"] + 8 * found["answer_tokens_estimate"]) / 1e6)
    people = ceae(*dry)
    assert "rough estimate" in people.out and "cost: give --price-in and --price-out" in people.out
    assert "in the currency of the prices" in ceae(*dry, "--price-in", 2, "--price-out", 8).out
    assert len(endpoint.asked) == asked


def test_a_failing_endpoint_can_be_continued(ceae, made, endpoint):
    arguments = ("judge", made, "--endpoint", endpoint.url, "--model", "m", "--backoff", 0.01, "--attempts", 2,
                 "--concurrency", 1)
    endpoint.replies = ["1", "1"] + [503] * 99
    said = ceae(*arguments, "--json")
    assert said.status == 75 and said.out == "" and said.err.strip().endswith("repeat the command to continue")
    endpoint.replies.clear()
    assert ceae(*arguments, "--json").json["judge"]["asked_now"] == 10


def test_a_wrong_key_is_one_line_without_the_key(ceae, made, endpoint):
    endpoint.replies = [401] * 20
    said = ceae("judge", made, "--endpoint", endpoint.url, "--model", "m", "--json")
    assert said.status == 2 and said.out == "" and "refuses, HTTP 401: no Bearer [key]" in said.err


@pytest.mark.parametrize("rule", ["word", "sentence"])
def test_the_stand_in_is_named_as_such(ceae, made, rule):
    found = ceae("judge", made, "--stand-in", rule, "--json").json
    name = f"stand-in (oracle critic, nats per {rule})"
    assert found["judge"] == {"name": name} and found["raters"] == [name] and found["answers"] == 12
    assert name in ceae("judge", made, "--stand-in", rule).out
    assert "stand-in" in (made / found["answers_file"].rsplit("/", 1)[1]).name


@pytest.mark.parametrize("arguments, said", [
    ([], "give --endpoint with --model, or --stand-in"), (["--endpoint", "http://x/v1"], "name the model"),
    (["--endpoint", "http://x/v1", "--stand-in", "word"], "give --endpoint with --model, or --stand-in"),
    (["--endpoint", "nowhere", "--model", "m"], "endpoint: is no address"),
    (["--endpoint", "https://u:pw@x/v1", "--model", "m"], "without user, password and query"),
    (["--endpoint", "http://x/v1", "--model", "m", "--concurrency", "0"], "--concurrency: must be positive"),
    (["--endpoint", "http://x/v1", "--model", "m", "--timeout", "nan"], "--timeout: must be positive"),
    (["--endpoint", "http://x/v1", "--model", "m", "--price-in", "-1"], "--price-in: must not be negative"),
    (["--endpoint", "http://x/v1", "--model", "m", "--temperature", "warm"], "temperature"),
    (["--endpoint", "http://x/v1", "--model", "m", "--api-key", "x"], "unrecognized"),
    (["--endpoint", "http://x/v1", "--model", "m"], "OPENAI_API_KEY is not set")])
def test_mistakes_of_a_judge_are_one_line(ceae, made, monkeypatch, arguments, said):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = ceae("judge", made, *arguments)
    assert found.status == 2 and found.out == "" and said in found.err and found.err.count("\n") == 1
    assert "pw" not in found.err
