# Everything that a developer does; `make` alone lists it. CI does `make test` (.ci/run).

SHELL := /bin/bash
BIN := .venv/bin

.PHONY: help install packages venv check lint test demo versions format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: packages venv ## install what is missing: Debian packages (as root) and .venv

packages:
	@scripts/packages.sh

venv:
	@scripts/venv.sh

check: venv lint ## what needs no root, Podman or HAProxy: style, types, layers, unit and property tests
	$(BIN)/pytest tests --ignore=tests/contract --ignore=tests/e2e

lint: venv
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	MYPYPATH=bench $(BIN)/mypy bench/*.py bench/scenarios/*.py
	$(BIN)/lint-imports

test: install lint ## all of it: check, and the tests with a real HAProxy and a real Podman (as root)
	@lacks=$$(tests/lab/lab.sh missing) || { \
		echo "THE CONTRACT AND END-TO-END TESTS CANNOT RUN HERE. Missing: $$lacks" >&2; exit 1; }
	$(BIN)/pytest tests

demo: install ## see it work: a real pod, HAProxy and proxyctl in a lab of their own (as root)
	@tests/lab/lab.sh run scripts/demo.sh

versions: install ## the contract tests with HAProxy 3.0 and 3.2, from newer Debians (as root)
	@scripts/versions.sh trixie forky

format: venv ## format the code, and mend what ruff can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove what make and the tools made here (packages stay)
	rm -rf .venv .versions .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	rm -rf bench/.venv bench/work bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: bench
bench: install ## measure it beside a static haproxy.cfg, Traefik and a script (as root, 20 minutes)
	@$(BIN)/python bench/run.py $(BENCH_ARGS)
