# Two commands: `make demo` and `make test`. Both set up everything they need.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
# test files that run at the same time, each in a process of its own; 0: one after the other, here
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
# what tests both databases by itself, or none, needs no second run
POSTGRES ?= $(filter-out tests/test_server_state_% tests/test_server_postgres.py \
  tests/test_server_deploy.py tests/test_server_docs.py tests/test_server_names.py, \
  $(wildcard tests/test_server_*.py)) tests/test_web_offline.py tests/test_web_routes.py \
  tests/test_sync_conformance_pull.py tests/test_sync_conformance_publish.py

.PHONY: demo test lint pytest postgres system web web-dev bench clean

demo: $(VENV)/installed web
	$(BIN)/watphon demo -o $(DEMO) $(ARGS)

test: lint pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

pytest: $(VENV)/installed-dev system web-dev
	$(PYTEST) $(ARGS)

# The server's tests once more, with its state in PostgreSQL.
postgres: $(VENV)/installed-dev system web-dev
	WATPHON_TEST_DATABASE=postgresql $(PYTEST) $(POSTGRES) $(ARGS)

# What pip cannot bring: Java for ODK Validate, Chromium to look at pages, poppler to read PDF,
# PostgreSQL for the second run of the server's tests, nginx to try the sample for an office.
system:
	@sh tests/system-packages.sh

# The form in the browser: its engine comes from npm; without it everything else works.
web: $(VENV)/installed
	@sh server/web/fetch.sh $(abspath $(BIN))/python

web-dev: $(VENV)/installed-dev
	@sh server/web/fetch.sh $(abspath $(BIN))/python --dev

bench: $(VENV)/installed-dev web
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	$(BIN)/python bench/demo.py
	$(BIN)/python bench/pull.py
	$(BIN)/python bench/submissions.py
	$(BIN)/python bench/torture.py --stored 1000000
	$(BIN)/python bench/fuzz.py
	$(BIN)/python bench/tables.py
	$(BIN)/python bench/browser.py

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
