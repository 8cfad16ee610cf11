# `make demo` and `make test` set up everything they need. Each target's comment is what `make help` prints.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UNFINISHED := .venv-unfinished

.DEFAULT_GOAL := help
.PHONY: help demo test test-exact check format docs clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile

demo: $(VENV)/.runtime ## answer a handful of prompts plainly and under the guard (ARGS=--json for data)
	@$(BIN)/rose-guard ask --compare --file examples/demo.jsonl --max-new-tokens 32 $(ARGS)

test: $(VENV)/.development ## run the tests
	$(BIN)/pytest -m "not exact" $(ARGS)

test-exact: $(VENV)/.development ## run the long proofs of exactness on the real model
	$(BIN)/pytest -m exact $(ARGS)

check: $(VENV)/.development ## lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.development ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.development ## write the generated pages of the docs
	$(BIN)/typer rose_guard.cli.main utils docs --name rose-guard --title "Command line" --output docs/reference/cli.md

clean: ## remove the virtual environment
	rm -rf $(VENV) $(UNFINISHED)

# What an interrupted set-up leaves is not trusted: the marker stays, and the next run begins afresh.
define virtual_environment
	@if [ -e $(UNFINISHED) ] || [ ! -x $(BIN)/python ]; then \
	    touch $(UNFINISHED); echo "Setting up $(VENV) ..." >&2; $(PYTHON) -m venv --clear $(VENV); fi
	@touch $(UNFINISHED)
	@$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip >&2
endef

$(VENV)/.runtime: pyproject.toml constraints.txt
	$(virtual_environment)
	@echo "Installing rose_guard ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[embedded]' >&2
	@$(BIN)/rose-guard model install >&2
	@rm -f $(UNFINISHED)
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(virtual_environment)
	@echo "Installing what the tests need ..." >&2
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[agents,chains,embedded,evaluate,grammar,lm-eval,redis,rules,train]' --group lint --group test >&2
	@rm -f $(UNFINISHED)
	@touch $@
