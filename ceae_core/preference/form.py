"""The form that a rater opens in a browser: one HTML file that needs nothing else."""

import json
from importlib.resources import files

from ceae_core.preference.cells import MARK, STARTS, columns
from ceae_core.preference.sheet import Sheet

TEMPLATE = "form.html"
SLOT = "{}"                 # where the template has the content


def page(sheet: Sheet) -> str:
    """The form, its content as JSON in a script that no text can leave."""
    content = {"sheet": sheet.id, "columns": columns(len(sheet.models)), "mark": MARK, "starts": STARTS,
               "items": [{"item": item.number, "texts": item.texts} for item in sheet.items]}
    text = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")
    template = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    head, tail = template.split(f'<script type="application/json" id="content">{SLOT}</script>')
    return f'{head}<script type="application/json" id="content">{text}</script>{tail}'
