"""The slider: what is linked to what, what is in the page, what typed sentences do."""

import json

import ipywidgets
import pytest
from ipywidgets.embed import dependency_state

from ceae_core.corpora import oracle
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.measure import interpolation
from ceae_core.report import widgets
from ceae_core.report.lines import Lines
from ceae_core.runs import Store
from ceae_core.spec import resolve

KINDS = ("negative-negative", "positive-negative")
WEIGHTS = [0.0, 0.5, 1.0]


def experiment(model, **changes):
    """Lines whose sentences say where they are: model, line and point."""
    found = [{"kind": kind, "first": f"first of {n} <b>", "second": f"second of {n}", "norms": [1.0, 0.7, 1.25],
              "sentences": [f"{model} {n} at {weight} <unk>" for weight in WEIGHTS],
              "scores": {"code": [0.1, 0.5, 0.9], "text": [0.2, 0.4, 0.8], "truth": [None, 0.0, 1.0]}, "course": {},
              **changes} for n, kind in enumerate(kind for kind in KINDS for _ in range(3))]
    return Lines(model, model, "oracle", {"id": f"interpolation-{model}", "result": {
        "weights": WEIGHTS, "lines": found, "prior_norm": 1.0, "critic": {"name": "oracle", "settings": {}}}})


@pytest.fixture
def found():
    return [experiment("ae"), experiment("ceae")]


@pytest.fixture
def places(found):
    return widgets.chosen_lines(found[0])


def children(widget):
    """The widget and all below it."""
    return [widget, *(each for child in getattr(widget, "children", ()) for each in children(child))]


def by_kind(widget, kind):
    return [each for each in children(widget) if type(each) is kind]


def links(widget):
    """(source, target) of every link that the browser keeps, among the widgets of a page."""
    return {(*model["state"]["source"], *model["state"]["target"]) for model in dependency_state([widget]).values()
            if model["model_name"] == "DirectionalLinkModel"}


def test_the_first_lines_of_each_kind(found):
    assert widgets.chosen_lines(found[0]) == [0, 1, 3, 4]
    assert widgets.chosen_lines(found[0], 1) == [0, 3]


def test_selectors_choose_among_everything_in_the_page(found, places):
    """Moving the selectors as the links do in the browser shows the sentence of that model, pair and point."""
    shown = widgets.explorer(found, places, start="ceae")
    (model, pair), (weight,) = by_kind(shown, ipywidgets.Dropdown), by_kind(shown, ipywidgets.SelectionSlider)
    assert model.options == ("ae", "ceae") and model.value == "ceae" and weight.options == ("0", "0.5", "1")
    assert weight.value == "0.5" and len(pair.options) == 4
    sources, points = shown.children[3:]
    for m, name in enumerate(model.options):
        for p, place in enumerate(places):
            for k, at in enumerate(WEIGHTS):
                text = points.children[m].children[p].children[k].value
                assert f"<strong>{name} {place} at {at} &lt;unk&gt;</strong>" in text
    assert all(f"first of {place} &lt;b&gt;" in source.value
               for place, source in zip(places, sources.children, strict=True))
    assert shown._dom_classes == (widgets.CLASS,) and all(each.description for each in (model, pair, weight))


def test_the_browser_links_each_selector_to_its_stacks(found, places):
    shown = widgets.explorer(found, places)
    (model, pair), (weight,) = by_kind(shown, ipywidgets.Dropdown), by_kind(shown, ipywidgets.SelectionSlider)
    sources, points = shown.children[3:]
    expected = {(model, points), (pair, sources)} | {(pair, of_model) for of_model in points.children} | {
        (weight, of_pair) for of_model in points.children for of_pair in of_model.children}
    assert links(shown) == {(f"IPY_MODEL_{a.model_id}", "index", f"IPY_MODEL_{b.model_id}", "selected_index")
                            for a, b in expected}
    for selector, stack in expected:
        assert stack.selected_index == selector.index


def test_facts_below_a_sentence(found):
    shown = widgets.explorer(found, [0])
    first, _, last = shown.children[4].children[0].children[0].children
    assert "score of the code 0.10, score of the text 0.20, true p(positive) –, norm of the code 1.00" in first.value
    assert "true p(positive) 1.00, norm of the code 1.25" in last.value


def test_an_empty_sentence_says_so():
    shown = widgets.explorer([experiment("ae", sentences=["", "a", "b"], scores={})], [0])
    first = shown.children[4].children[0].children[0].children[0]
    assert "(the empty sentence)" in first.value and "score" not in first.value


def test_the_state_of_the_page_stays_small(places):
    """Five models, six pairs and eleven points of twenty words take less than a megabyte."""
    long = " ".join(["seventeen"] * 20)
    made = [experiment(name, sentences=[long] * 3) for name in "abcde"]
    shown = widgets.explorer(made, [0, 1, 2, 3, 4, 5])
    assert len(json.dumps(dependency_state([shown]))) / 3 * 11 < 1e6
    assert len({each.layout for each in by_kind(shown, ipywidgets.HTML)}) == 1
    assert len({each.style for each in by_kind(shown, ipywidgets.HTML)}) == 1


def test_runs_with_other_lines_are_refused(found):
    for other in (experiment("vae", first="another"), None):
        with pytest.raises(CeaeError, match="between the same pairs"):
            widgets.explorer([*found, other] if other else found, [0, 1] if other else [])


def test_the_table_beside_it_has_every_sentence(found, places):
    table = widgets.choices(found, places)
    assert len(table.rows) == len(places) * len(WEIGHTS)
    row = table.rows[4]
    assert (row["pair"], row["kind"], row["λ"].text) == (2, KINDS[0], "0.5")
    assert row["ae"] == "ae 1 at 0.5 <unk>" and row["ceae"] == "ceae 1 at 0.5 <unk>"
    assert "ceae 1 at 0.5 &lt;unk&gt;" in table._repr_html_()


# typed sentences -----------------------------------------------------------------------------------------------------

@pytest.fixture
def typed(found, places):
    """The boxes, what is shown below them, the selectors, and the calls of the decoder."""
    calls = []

    def decode(model, first, second):
        calls.append((model, first, second))
        if "!" in first:
            raise CeaeError("no <such> thing")
        return [f"{model} {weight} <unk>" for weight in WEIGHTS], [word for word in first.split() if word == "zebra"]

    shown = widgets.explorer(found, places, decode)
    boxes, (weight,) = by_kind(shown, ipywidgets.Text), by_kind(shown, ipywidgets.SelectionSlider)
    return boxes, shown.children[-1].children[-1], by_kind(shown, ipywidgets.Dropdown)[0], weight, calls


def test_typed_sentences_are_decoded_with_the_chosen_model_at_the_chosen_point(typed):
    (first, second), shown, model, weight, calls = typed
    first.value = "the zebra"
    assert calls == [] and shown.value == ""                    # one sentence makes no line
    second.value = "the taco"
    assert calls == [("ae", "the zebra", "the taco")] and "<strong>ae 0.5 &lt;unk&gt;</strong>" in shown.value
    assert "read as the unknown word: zebra" in shown.value
    weight.index = 2
    assert "ae 1.0 &lt;unk&gt;" in shown.value and len(calls) == 1          # the line is decoded once
    model.value = "ceae"
    assert calls[1:] == [("ceae", "the zebra", "the taco")] and "ceae 1.0" in shown.value
    first.value = "the cat"
    assert "unknown word" not in shown.value
    second.value = "  "
    assert shown.value == "" and len(calls) == 3


def test_what_is_wrong_with_a_sentence_is_said_in_place(typed):
    (first, second), shown, _, weight, _ = typed
    second.value, first.value = "a", "b !"
    assert shown.value == "<p>no &lt;such&gt; thing</p>"
    weight.index = 0
    assert shown.value == "<p>no &lt;such&gt; thing</p>"
    first.value = "b"
    assert "ae 0.0" in shown.value


def test_boxes_only_where_there_is_a_kernel(found, places, monkeypatch):
    assert by_kind(widgets.explorer(found, places), ipywidgets.Text) == []
    monkeypatch.delenv("CEAE_CHAPTER", raising=False)
    assert not widgets.is_read_only()
    monkeypatch.setenv("CEAE_CHAPTER", "interpolation")
    assert widgets.is_read_only()


def test_the_decoder_decodes_by_the_run(tmp_path):
    run = obtain(resolve("ae", scale="smoke", set={"epochs": 1, "iw_samples": 2, "iw_sentences": 2}), Store(tmp_path))
    one, other = (" ".join(text) for text in oracle.default().sample(2, 9).sentences)
    sentences, unknown = widgets.decoder({"ae": run}, WEIGHTS)("ae", one, f"{other} zebra")
    line, _ = interpolation.between(run.model(), run.vocabulary(), one, f"{other} zebra", WEIGHTS)
    assert sentences == [" ".join(sentence) for sentence in line.sentences] and "zebra" in unknown
    with pytest.raises(CeaeError, match="is empty"):
        widgets.decoder({"ae": run}, WEIGHTS)("ae", "", other)
