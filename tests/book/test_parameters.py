import pytest

from ceae_core.book import parameters
from ceae_core.errors import CeaeError


def test_values_take_the_type_of_the_default(book):
    book.write("first", "pass", parameters='scale = "quick"\nseeds = [1]\nrate = 0.5\nfast = False\nsteps = 3')
    given = {"scale": "1", "seeds": "[2, 3]", "rate": "2", "fast": "true", "steps": 7}
    assert parameters.assign(book, ["first"], given, everywhere=True) == {
        "first": {"scale": "1", "seeds": [2, 3], "rate": 2.0, "fast": True, "steps": 7}}


@pytest.mark.parametrize("values", [{"seeds": "3"}, {"seeds": 3}, {"scale": 1}, {"seeds": "[1"}])
def test_wrong_type_is_refused(book, values):
    with pytest.raises(CeaeError, match="first: parameter .* must be (list|str)"):
        parameters.assign(book, ["first"], values, everywhere=True)


def test_chapters_get_what_they_declare(book):
    assigned = parameters.assign(book, ["second", "first"], {"scale": "smoke"}, everywhere=False)
    assert assigned == {"second": {}, "first": {"scale": "smoke"}}


@pytest.mark.parametrize("everywhere, value, message", [
    (False, {"scael": "smoke"}, "no chapter declares it; known are scale, seeds"),
    (True, {"scale": "smoke"}, "second does not declare it"),
])
def test_unknown_names_are_refused(book, everywhere, value, message):
    with pytest.raises(CeaeError, match=message):
        parameters.assign(book, ["second", "first"], value, everywhere=everywhere)


@pytest.mark.parametrize("name", ["api_key", "OPENAI_API_KEY", "token", "my_password", "auth", "hf_token"])
def test_secrets_are_refused(book, name):
    with pytest.raises(CeaeError, match="looks like a secret"):
        parameters.assign(book, ["first"], {name: "x"}, everywhere=False)


def test_harmless_names_are_not_secrets():
    assert not any(parameters.SECRET.search(name) for name in ("tokens_per_batch", "author", "monkey", "keyword"))


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_environment_must_hold_a_json_object(monkeypatch, text):
    monkeypatch.setenv(parameters.VARIABLE, text)
    with pytest.raises(CeaeError, match=parameters.VARIABLE):
        parameters.from_environment()


def test_environment(monkeypatch):
    monkeypatch.setenv(parameters.VARIABLE, '{"scale": "smoke"}')
    assert parameters.from_environment() == {"scale": "smoke"}
    monkeypatch.delenv(parameters.VARIABLE)
    assert parameters.from_environment() == {}
