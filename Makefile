# Everything runs from .venv, made from hashed, pinned packages. `make run` is all a newcomer needs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
ASSETS := platform/compagnon/static/vendor/.stamp
# Tests wait (for servers, agents, browsers) more than they work: two to a core.
WORKERS ?= 4

.PHONY: run up test check bench format messages lock assets clean help

help: ## What can be asked
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

run: $(STAMP) $(ASSETS) ## Start Compagnon with its demo data and a live agent
	@$(BIN)/compagnon up --demo

up: $(STAMP) $(ASSETS) ## Start Compagnon without demo data
	@$(BIN)/compagnon up

test: $(STAMP) $(ASSETS) ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(STAMP) ## Format, lint, types, layers, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_docs.py

bench: $(STAMP) $(ASSETS) ## Measure pages, search, terminal, agents, start
	$(BIN)/python bench/run.py

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: $(STAMP) ## Collect texts to translate into the catalogues
	$(BIN)/python scripts/messages.py

assets: $(ASSETS) ## Install the front-end packages

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Compagnon needs Python 3.11 or newer (set PYTHON=…)."; exit 1; }
	@echo "Installing Compagnon into .venv (once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python has no venv module: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(ASSETS): package-lock.json scripts/assets.py | $(STAMP)
	@echo "Installing the front-end packages (once) …"
	@$(BIN)/python scripts/assets.py
	@touch $@

lock: ## Pin the Python packages anew (needs pip-tools)
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev --extra build --output-file requirements.txt pyproject.toml

clean: ## Remove what was installed and built (not data/)
	rm -rf .venv node_modules platform/compagnon/static/vendor .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
