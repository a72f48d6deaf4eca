# Every command of the project. Each works on a fresh clone by itself: what it needs is made first, and only once.
# ARGS="..." is passed on to the program behind a target.

.DEFAULT_GOAL := help
.PHONY: help setup environment demo test lint bench bench-gate coverage torture format clean

PYTHON := .venv/bin/python
CARGO := $(PYTHON) tools/toolchain.py
ARGS ?=
# Four files of tests at a time, in their order: they mostly wait. ARGS="-n 0 -s" takes them one by one and lets them print.
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder
SECONDS ?= 720

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv, build the extension, install what tests and checks need
	@tools/setup

environment: # what runs without the tests' servers and programs
	@tools/setup --without-tools

demo: environment ## Run a real queue and its page (ARGS="--jobs 200 --exit --json", ARGS="--help")
	@$(PYTHON) -m queue_metrics demo $(ARGS)

test: setup ## Run the whole suite against real parts (ARGS="tests/storage -k redis")
	@$(PYTHON) -m pytest $(SIDE_BY_SIDE) --durations=20 $(ARGS)

lint: environment ## Check style, types, import floors, the stub of the extension
	@tools/lint

bench: setup ## Measure, print a table, write benches/out/results.json
	@$(PYTHON) -m benches $(ARGS)

bench-gate: setup ## Fail when a count (instructions, requests, bytes) is over its bound
	@$(PYTHON) -m benches --gate $(ARGS)

coverage: environment ## Say which lines of rust/core the tests run (ARGS="--below 95")
	@$(PYTHON) tools/coverage.py $(ARGS)

torture: setup ## Run the long failure tests (SECONDS=720)
	@$(PYTHON) -m tests.torture --seconds $(SECONDS) $(ARGS)

format: environment ## Rewrite the sources in the house's format
	@$(PYTHON) -m ruff check --quiet --fix-only .
	@$(PYTHON) -m ruff format .
	@$(CARGO) fmt --all

clean: ## Remove everything that was made
	rm -rf .venv target dist benches/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find python tests benches tools -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/queue_metrics/_core*.so
