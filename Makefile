# make book builds the book, make test runs the tests; each sets up .venv first.  Settings: make book PYTHON=python3.12
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
SMOKE := {"scale": "smoke"}

.DEFAULT_GOAL := help
.PHONY: help setup book smoke test lint clean

help:
	@echo "make book    execute the chapters that changed and render the book (_build/html/index.html)"
	@echo "make test    run the tests"
	@echo "make smoke   the same book in minutes, at the smallest scale (what the tests on a server do)"
	@echo "make lint    check the style of the code and the notebooks"
	@echo "make setup   create $(VENV) with the pinned packages (the others do this when needed)"
	@echo "make clean   remove what was built; runs/ and $(VENV) stay"
	@echo "Settings: PYTHON=/path/to/python3 (3.11 or later), VENV=folder"

setup: $(STAMP)

$(STAMP): requirements.txt pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh "$(VENV)" "$(PYTHON)"
	@touch $@

book: $(STAMP)
	@$(BIN)/python -m ceae_core.book.chapters
	@$(BIN)/jupyter-book build -W -n --keep-going book

smoke: export CEAE_BOOK_PARAMETERS = $(SMOKE)
smoke: book

test: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check .

clean:
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
