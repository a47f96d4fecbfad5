"""Sphinx extension: runs stale chapters first, then renders the executed copy of each in place of its source.

Configuration values: `ceae_execute` (True) runs stale chapters; `ceae_parameters` ({}) are the chapters' parameters;
the environment variable CEAE_BOOK_PARAMETERS (a JSON object) replaces them.
"""

from contextlib import ExitStack
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

import ceae_core
from ceae_core.book import chapters, freshness, parameters, vendor
from ceae_core.book.layout import Book
from ceae_core.errors import CeaeError

log = logging.getLogger(__name__)
LAUNCH_BUTTONS = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}
THEBE_MARKS = ("text/x-thebe-config", "<script>kernelName")


class Rendering:
    """The event handlers of one build."""

    def __init__(self) -> None:
        self.fresh: set[str] = set()
        self.held = ExitStack()

    def configure(self, app: Sphinx, config) -> None:
        """Parameters of this build, local assets, and the buttons that need a repository address."""
        try:
            config.ceae_parameters = parameters.from_environment() or config.ceae_parameters
        except CeaeError as error:
            raise ExtensionError(str(error)) from None
        _use_local_assets(_book(app), config)
        _add_buttons(config.html_theme_options)

    def execute(self, app: Sphinx) -> None:
        book = _book(app)
        self.held.enter_context(chapters.locked(book))
        try:
            if app.config.ceae_execute:
                chapters.run(book, app.config.ceae_parameters)
            self.fresh = chapters.up_to_date(book, app.config.ceae_parameters)
        except CeaeError as error:
            self.held.close()
            raise ExtensionError(str(error)) from None

    def swap(self, app: Sphinx, document: str, source: list[str]) -> None:
        """Put the outputs of the executed copy into the text that Sphinx is about to parse."""
        book = _book(app)
        if not book.source(document).is_file():
            return
        if document not in self.fresh:
            log.warning("no up-to-date executed copy of %s; its source is shown without outputs", document,
                        location=document)
            return
        copy = book.executed(app.config.ceae_parameters) / f"{document}.ipynb"
        app.env.note_dependency(str(copy))
        page = freshness.merged(nbformat.reads(source[0], as_version=4), nbformat.read(copy, as_version=4))
        source[0] = nbformat.writes(page)

    def drop_thebe(self, app: Sphinx, doctree: nodes.document, document: str) -> None:
        """Take out what sphinx-thebe adds to a page: live code on a remote server is not part of the book."""
        for node in list(doctree.findall(nodes.raw)):
            if any(mark in node.astext() for mark in THEBE_MARKS):
                node.parent.remove(node)

    def drop_thebe_scripts(self, app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
        context["script_files"] = [script for script in context.get("script_files", [])
                                   if "thebe" not in f"{script}{getattr(script, 'attributes', {})}".lower()]

    def release(self, app: Sphinx, error: Exception | None) -> None:
        self.held.close()


def _book(app: Sphinx) -> Book:
    return Book(Path(app.srcdir).resolve().parent)


def _use_local_assets(book: Book, config) -> None:
    try:
        folder = vendor.assets(book.build)
    except vendor.NotFetched as reason:
        log.info("MathJax and widgets are loaded from the network when a page is read: %s", reason)
        return
    config.html_static_path.append(str(folder))
    config.mathjax_path = vendor.MATHJAX
    config.nb_ipywidgets_js = {vendor.WIDGETS: {}}


def _add_buttons(options: dict) -> None:
    if options.get("repository_url"):
        options.update(use_repository_button=True, use_issues_button=True)
        chosen = {key: value for key, value in options.get("launch_buttons", {}).items() if value}
        if not any(key.endswith("_url") for key in chosen):
            options["launch_buttons"] = LAUNCH_BUTTONS


def setup(app: Sphinx) -> dict:
    rendering = Rendering()
    app.add_config_value("ceae_execute", True, "env")
    app.add_config_value("ceae_parameters", {}, "env")
    app.connect("config-inited", rendering.configure, priority=100)
    app.connect("builder-inited", rendering.execute)
    app.connect("source-read", rendering.swap)
    app.connect("doctree-resolved", rendering.drop_thebe, priority=900)
    app.connect("html-page-context", rendering.drop_thebe_scripts, priority=900)
    app.connect("build-finished", rendering.release)
    return {"version": ceae_core.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
