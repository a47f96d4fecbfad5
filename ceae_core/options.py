"""Options by signature: the keyword-only arguments of a function are the options it takes, its defaults theirs."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


def options_of(function: Callable) -> dict[str, Any]:
    """Keyword-only arguments of a function, or of a class's constructor, with their defaults."""
    if isinstance(function, partial):
        return {k: v for k, v in options_of(function.func).items() if k not in function.keywords}
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}


def bind(function: Callable, options: Mapping[str, Any]) -> Callable:
    """`function` with its own options filled in from `options`."""
    return partial(function, **{name: options[name] for name in options_of(function) if name in options})
