# Two commands from a bare clone: `make run` and `make test`. Everything can be repeated and skips what is done.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 1

# python3-dev and gcc build webrtcvad, which resemblyzer brings; GL and GLib are OpenCV's, pango is WeasyPrint's.
SYSTEM := python3-venv python3-dev gcc libpango-1.0-0 libpangoft2-1.0-0 libgl1 libglib2.0-0 libegl1 libgles2 \
	fonts-dejavu-core gettext
SYSTEM_TEST := espeak-ng chromium firefox-esr poppler-utils postgresql coturn nginx caddy

.PHONY: help setup setup-dev run test test-fast lint bench clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: setup ## Everything from a bare clone to the site on http://localhost:8000
	@$(PYTHON) manage.py serve --host $(HOST) --port $(PORT) --workers $(WORKERS)

# Two files of tests at a time: many of them wait for browsers, servers and workers. `make test JOBS=0` runs one at a time.
JOBS ?= 2
# A slow test that fails is run so many times more, and named at the end.
RERUNS ?= 1

test: setup-dev ## Everything from a bare clone to all tests passed
	@RERUNS=$(RERUNS) $(PYTHON) -m pytest -n $(JOBS) --dist loadfile

test-fast: setup-dev ## The quick tests only
	@$(PYTHON) -m pytest -m "not slow" -n $(JOBS) --dist loadfile

setup: .venv/.runtime var/.translations var/.frontend ## Python environment, system packages, model files, database
	@$(PYTHON) manage.py fetch_models
	@$(PYTHON) manage.py migrate --verbosity 0
	@echo "Set up."

setup-dev: .venv/.dev var/.translations var/.frontend-dev
	@$(PYTHON) manage.py fetch_models

lint: .venv/.dev ## Style, types and migrations
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	$(PYTHON) manage.py makemigrations --check --dry-run

bench: setup-dev ## Measure the budgets of the design, write docs/benchmarks/
	@$(PYTHON) -m tests.bench

clean: ## Remove the Python environment (state under var/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/.system: Makefile tools/system_packages
	@tools/system_packages $(SYSTEM)
	@mkdir -p .venv && touch $@

.venv/.system-test: Makefile tools/system_packages
	@tools/system_packages $(SYSTEM_TEST)
	@mkdir -p .venv && touch $@

# Python 3.11 where there is one; any from 3.11 on otherwise.
.venv/bin/python: | .venv/.system
	@echo "Making the Python environment"
	@python=$$(command -v python3.11 || command -v python3); \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 1; }; \
		$$python -m venv .venv && .venv/bin/python -m pip install --quiet --upgrade pip

.venv/.runtime: requirements.txt constraints.txt .venv/.system | .venv/bin/python
	@echo "Installing Python packages (a few minutes the first time)"
	@$(PYTHON) -m pip install --quiet --progress-bar on -r requirements.txt -c constraints.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime .venv/.system-test
	@echo "Installing Python packages for tests"
	@$(PYTHON) -m pip install --quiet --progress-bar on -r requirements-dev.txt -c constraints.txt
	@touch $@

var/.translations: $(shell find locale -name '*.po' 2>/dev/null) | .venv/.runtime
	@mkdir -p var locale
	@$(PYTHON) manage.py compilemessages --verbosity 0
	@touch $@

# Chart.js, into node_modules/, from where the site serves it.
var/.frontend: package.json package-lock.json | .venv/.runtime
	@echo "Installing front-end files"
	@mkdir -p var
	@PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --silent --ignore-scripts --omit=dev
	@touch $@

# And axe-core, with which the tests look at the pages' accessibility.
var/.frontend-dev: var/.frontend
	@PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --silent --ignore-scripts
	@touch $@
