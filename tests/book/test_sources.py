"""The committed notebooks: free of outputs, in the table of contents, tagged and portable."""

from pathlib import Path

import nbformat
import pytest
import yaml

from ceae_core.book import freshness, parameters
from ceae_core.book.layout import here

BOOK = here()
CHAPTERS = BOOK.chapters()


def test_the_table_of_contents_beside_the_chapters_is_the_same():
    """On systems without symbolic links the second one is a copy, and must not differ."""
    assert (BOOK.sources / "_toc.yml").read_bytes() == (BOOK.root / "_toc.yml").read_bytes()


def test_every_notebook_is_listed_once():
    assert sorted(CHAPTERS) == sorted(path.stem for path in BOOK.sources.glob("*.ipynb"))


def test_the_first_page_lists_every_chapter_in_order():
    intro = nbformat.read(BOOK.source(CHAPTERS[0]), as_version=4)
    found = [line.split("`")[1] for cell in intro.cells for line in cell.source.splitlines()
             if line.startswith("| {doc}`")]
    assert found == CHAPTERS[1:]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_outputs_and_valid(chapter):
    notebook = nbformat.read(BOOK.source(chapter), as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any("papermill" in cell.metadata or "execution" in cell.metadata for cell in notebook.cells)
    assert not {"papermill", "widgets"} & set(notebook.metadata)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_first_code_cell_holds_the_parameters(chapter):
    notebook = nbformat.read(BOOK.source(chapter), as_version=4)
    tagged = [i for i, cell in enumerate(c for c in notebook.cells if c.cell_type == "code")
              if "parameters" in cell.metadata.get("tags", [])]
    if freshness.reads_record(notebook):
        assert tagged == []
        return
    assert tagged == [0]
    declared = parameters.declared(BOOK, chapter)
    assert {"scale", "corpus", "device"} < set(declared) and {"seed", "seeds"} & set(declared)
    assert parameters.UNKNOWN not in declared.values()
    assert (declared["scale"], declared["corpus"], declared["device"]) == ("quick", "oracle", "auto")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figures_have_caption_name_and_alternative_text(chapter):
    for cell in nbformat.read(BOOK.source(chapter), as_version=4).cells:
        shown = cell.metadata.get("mystnb", {})
        if "figure" in shown or "image" in shown:
            assert shown["figure"]["caption"].strip() and shown["figure"]["name"].startswith("fig-")
            assert len(shown["image"]["alt"].split()) >= 4


def test_the_bibliography_has_unique_keys():
    from pybtex.database import parse_file  # refuses repeated keys

    entries = parse_file(str(BOOK.sources / "references.bib")).entries
    assert {"ghose2023contrastive", "teng2022contrastive"} <= set(entries)


def test_configuration_points_nowhere_by_default():
    config = yaml.safe_load(Path(BOOK.root / "_config.yml").read_text(encoding="utf-8"))
    assert config["repository"]["url"] == "" and "launch_buttons" not in config
    assert config["execute"]["execute_notebooks"] == "off" and config["only_build_toc_files"]


def test_requirements_are_pinned_without_an_index():
    lines = (BOOK.root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in pin and "+" not in pin and not pin.startswith("-") for pin in pins)
    assert {"torch", "papermill", "jupyter-book", "kenlm"} <= {pin.split("==")[0] for pin in pins}
