# Two commands: `make demo` and `make test`. Both set up everything they need.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test lint pytest system web web-dev bench clean

demo: $(VENV)/installed web
	$(BIN)/watphon demo -o $(DEMO) $(ARGS)

test: lint pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

pytest: $(VENV)/installed-dev system web-dev
	$(BIN)/python -m pytest $(ARGS)

# What pip cannot bring: Java for ODK Validate, Chromium to look at pages, poppler to read PDF.
system:
	@sh tests/system-packages.sh

# The form in the browser: its engine comes from npm; without it everything else works.
web: $(VENV)/installed
	@sh server/web/fetch.sh $(abspath $(BIN))/python

web-dev: $(VENV)/installed-dev
	@sh server/web/fetch.sh $(abspath $(BIN))/python --dev

bench: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	$(BIN)/python bench/demo.py
	$(BIN)/python bench/pull.py
	$(BIN)/python bench/submissions.py
	$(BIN)/python bench/torture.py --stored 1000000
	$(BIN)/python bench/fuzz.py
	$(BIN)/python bench/tables.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "watphon needs Python 3.11 or later; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) $(DEMO) server/web/node_modules .pytest_cache .ruff_cache .hypothesis *.egg-info
