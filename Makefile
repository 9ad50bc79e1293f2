# `make` alone lists the targets. Each target does its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CLIENTS := tests/interop/identity
NODE_STAMP   := $(CLIENTS)/node_modules/.installed
PYTHON_STAMP := $(CLIENTS)/.venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix bench interop deep mutants clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

setup: $(STAMP) ## make the virtual environment

demo: $(STAMP) ## the same request by several people, with the AuditEvents
	$(BIN)/python -m proxy demo

test: $(STAMP) ## the test suite, on all cores
	$(BIN)/python -m pytest -q -n auto --dist loadfile

check: $(STAMP) ## everything CI runs: format, lint, types, layers, policies, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for pack in baseline baseline/hospital us-part2 $(addprefix ihe-pcf/,basic-normal all-normal break-glass-only deny); do $(BIN)/python -m proxy check policies/$$pack || exit 1; done
	$(MAKE) test

fix: $(STAMP) ## format and repair what the linter can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure CPU per request against a bare pass-through proxy
	$(BIN)/python -m bench

$(PYTHON_STAMP): $(CLIENTS)/requirements.txt | $(STAMP)
	$(BIN)/python -m venv $(CLIENTS)/.venv
	$(CLIENTS)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CLIENTS)/requirements.txt
	@touch $(PYTHON_STAMP)

$(NODE_STAMP): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(PYTHON_STAMP)
	cd $(CLIENTS) && PATH="$$PWD/.venv/bin:$$PATH" npm ci --loglevel=error --no-progress
	@touch $(NODE_STAMP)

interop: $(STAMP) $(NODE_STAMP) ## against real ones: a HAPI FHIR server, an OpenID Provider, SMART clients
	$(BIN)/python -m pytest -q -m interop tests/interop

deep: $(STAMP) ## the properties with many more examples
	$(BIN)/python -m pytest -q --hypothesis-profile=deep tests/properties tests/worlds/test_random_worlds.py tests/worlds/test_asked_worlds.py

mutants: $(STAMP) ## change the code and see tests fail: MODULES="proxy.decision.combine"
	$(BIN)/mutmut run --max-children 2 $(MODULES:%=%.*)

clean: ## remove what was built
	rm -rf $(VENV) $(CLIENTS)/.venv $(CLIENTS)/node_modules .pytest_cache .mypy_cache .ruff_cache build dist mutants
