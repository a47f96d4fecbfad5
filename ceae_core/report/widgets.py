"""A slider through interpolated sentences: it works in a page without a kernel, and decodes what is typed where one is.

Every sentence that the selectors can choose is in the page: a stack of models, in it one of pairs, in it one of points.
The browser links selectors to stacks (`jsdlink`), so no Python is needed to move them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from ceae_core.errors import CeaeError
from ceae_core.measure import interpolation
from ceae_core.report.interpolation import SCORERS
from ceae_core.report.lines import DecodedLine, Lines
from ceae_core.report.tables import MISSING, Cell, Table
from ceae_core.runs import Run

CLASS = "ceae-lines"            # by which the page's style sheet and script know the widget
SHORT = 32                      # characters of a sentence in the list of pairs
SAID = {"code": "score of the code", "text": "score of the text", "truth": "true p(positive)"}
# model, first and second sentence -> what is decoded (L,), weight 0 first, and words that the model does not know
Decoder = Callable[[str, str, str], tuple[Sequence[str], Sequence[str]]]


def chosen_lines(found: Lines, per_kind: int = 2) -> list[int]:
    """Places of the first lines of each kind."""
    kinds = dict.fromkeys(line.kind for line in found)
    return [found.lines.index(line) for kind in kinds for line in found.of(kind)[:per_kind]]


def choices(found: Sequence[Lines], places: Sequence[int]) -> Table:
    """Everything that the slider can show, as a table: for readers without it, and to search in."""
    rows = [{"pair": number, "kind": found[0].lines[place].kind, "λ": Cell(float(weight), f"{weight:.1f}"),
             **{each.name: each.lines[place].content["sentences"][i] for each in found}}
            for number, place in enumerate(places, 1) for i, weight in enumerate(found[0].weights)]
    return Table(rows, "Every sentence that the slider shows", ["λ is the weight of the first sentence of a pair."],
                 "interpolated-sentences")


def explorer(found: Sequence[Lines], places: Sequence[int], decode: Decoder | None = None, start: str = "") -> Any:
    """Model, pair and λ by selectors, the decoded sentence below; with `decode` also two boxes for sentences to type.

    `start` is the model that is chosen at first; else it is the first.  Raises CeaeError when the runs do not have the
    same lines.
    """
    import ipywidgets
    pairs = [[(each.lines[i].content["first"], each.lines[i].content["second"]) for i in places] for each in found]
    if not places or any(other != pairs[0] or list(each.weights) != list(found[0].weights)
                         for other, each in zip(pairs, found, strict=True)):
        raise CeaeError("slider: the runs must have been interpolated between the same pairs at the same points")
    wide = ipywidgets.Layout(width="auto")
    model = ipywidgets.Dropdown(options=[each.name for each in found], description="Model", layout=wide)
    model.value = start if start in model.options else model.options[0]
    pair = ipywidgets.Dropdown(options=[_option(n, found[0].lines[i]) for n, i in enumerate(places, 1)],
                               description="Pair", layout=wide)
    marks = [f"{weight:g}" for weight in found[0].weights.round(3)]
    weight = ipywidgets.SelectionSlider(options=marks, value=marks[len(marks) // 2], description="λ", layout=wide,
                                        tooltip="λ, the weight of the first sentence")
    alike = ipywidgets.HTML()               # hundreds of texts share its layout and style, which keeps the page small

    def html(text: str) -> ipywidgets.HTML:
        return ipywidgets.HTML(text, layout=alike.layout, style=alike.style)

    def stack(children: Sequence[Any], selector: Any) -> ipywidgets.Stack:
        made = ipywidgets.Stack(children, selected_index=selector.index, layout=alike.layout)
        ipywidgets.jsdlink((selector, "index"), (made, "selected_index"))
        return made
    sources = stack([html(_sources(found[0].lines[i])) for i in places], pair)
    points = stack([stack([stack([html(_point(line, k)) for k in range(len(each.weights))], weight)
                           for line in (each.lines[i] for i in places)], pair) for each in found], model)
    points.add_class(f"{CLASS}-point")
    boxes = [] if decode is None else [_typing(model, weight, decode)]
    made = ipywidgets.VBox([model, pair, weight, sources, points, *boxes], layout=wide)
    made.add_class(CLASS)
    return made


def _option(number: int, line: DecodedLine) -> str:
    ends = (line.content[key] for key in ("first", "second"))
    first, second = (text if len(text) <= SHORT else f"{text[:SHORT].rsplit(' ', 1)[0]} …" for text in ends)
    return f"{number}. {line.kind}: {first} | {second}"


def _sources(line: DecodedLine) -> str:
    return "".join(f"<p>λ = {weight}, the {which} sentence: <q>{escape(line.content[which])}</q></p>"
                   for weight, which in ((1, "first"), (0, "second")))


def _point(line: DecodedLine, place: int) -> str:
    """The decoded sentence and what is known of it; every word escaped, so that `<unk>` stays visible."""
    known = {SAID[by]: line.score(by)[place] for by in SCORERS if by in line.content["scores"]}
    known["norm of the code"] = line.content["norms"][place]
    facts = ", ".join(f"{label} {MISSING if value is None else f'{value:.2f}'}" for label, value in known.items())
    return f"{_shown(line.content['sentences'][place])}<p><small>{escape(facts)}</small></p>"


def _shown(sentence: str) -> str:
    return f"<p><strong>{escape(sentence) or '(the empty sentence)'}</strong></p>"


# where there is a kernel ---------------------------------------------------------------------------------------------

def is_read_only() -> bool:
    """Whether this is a page in the making: its readers have no kernel, boxes to type in would be dead."""
    return bool(os.environ.get("CEAE_CHAPTER"))


def decoder(runs: Mapping[str, Run], weights: Sequence[float]) -> Decoder:
    """Decode between any two sentences by one of the runs; a model is loaded when it is first asked for."""
    load = cache(lambda name: (runs[name].model(), runs[name].vocabulary()))

    def decode(name: str, first: str, second: str) -> tuple[list[str], list[str]]:
        line, unknown = interpolation.between(*load(name), first, second, weights)
        return [" ".join(sentence) for sentence in line.sentences], unknown
    return decode


def _typing(model: Any, weight: Any, decode: Decoder) -> Any:
    """Two boxes; whatever is typed is decoded with the chosen model and shown at the chosen λ."""
    import ipywidgets
    wide = ipywidgets.Layout(width="auto")
    boxes = [ipywidgets.Text(description=f"λ = {end}", placeholder=f"type the {which} sentence, then Enter",
                             continuous_update=False, layout=wide)
             for end, which in ((1, "first"), (0, "second"))]
    shown = ipywidgets.HTML(layout=wide)
    decoded: list[str] = []                 # the page of each point, as it is shown

    def show(_: object = None) -> None:
        shown.value = decoded[weight.index] if decoded else ""

    def decode_now(_: object = None) -> None:
        decoded.clear()
        if all(box.value.strip() for box in boxes):
            decoded.extend(_typed(decode, model.value, *(box.value for box in boxes), len(weight.options)))
        show()
    for selector in (model, *boxes):
        selector.observe(decode_now, "value")
    weight.observe(show, "index")
    made = ipywidgets.VBox([ipywidgets.HTML("<p>Or type two sentences of your own:</p>"), *boxes, shown], layout=wide)
    made.add_class(f"{CLASS}-point")
    return made


def _typed(decode: Decoder, model: str, first: str, second: str, points: int) -> list[str]:
    """What to show at each point; what is wrong with the sentences, where something is."""
    try:
        sentences, unknown = decode(model, first, second)
    except CeaeError as error:
        return [f"<p>{escape(str(error))}</p>"] * points
    said = f"<p><small>read as the unknown word: {escape(', '.join(unknown))}</small></p>" if unknown else ""
    return [_shown(sentence) + said for sentence in sentences]
