# `make` alone lists the targets. Nothing but Python >= 3.11 and make is needed; the page at / is
# built where there is Node >= 20.19 with npm.

PYTHON ?= python3
BIN := .venv/bin

# Empty files that mark what is installed: what the server needs, and what tests and checks need.
RUNTIME := .venv/ready-to-run
READY := .venv/ready

# The page, and its sources.
PAGE := web/dist/index.html
PAGE_SOURCES := $(shell find web/src web/build -type f 2>/dev/null) \
	$(wildcard web/*.html web/*.json web/*.ts) web/.npmrc
BUILD_MODULES := web/node_modules/ready-to-build
MODULES := web/node_modules/ready
# Clients written by others, for Node, that the server is tested with.
CLIENTS := tests/clients/node_modules/ready
# LiteLLM, in an environment of its own.
LITELLM := .venv-litellm/ready
NPM := command -v npm >/dev/null

# Tests start Python some hundred times: each would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run web test check format fuzz bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: $(READY) ## create the environment in .venv, from constraints.txt
run: $(RUNTIME) ## start the server; it reads headrace.toml if there is one
	@if $(NPM); then $(MAKE) --no-print-directory web || echo "The page was not built; the API works" >&2; \
	  else echo "No npm here: the page at / is not built; the API works either way" >&2; fi
	@exec $(BIN)/python server.py
web: $(PAGE) ## build the page into web/dist, if anything changed
test: $(READY) ## run all tests, two at a time; ARGS="-k name" chooses
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)
check: ## check formatting, lint and types, of the server and of the page at the same time
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check-server check-page
format: $(READY) ## format the sources, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@if $(NPM); then $(MAKE) --silent $(MODULES) && npm --prefix web run --silent format; fi
fuzz: $(READY) ## send random data to parsers, dialects and the API; RUNS=, SEEDS= and EXAMPLES= set how much
	-@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r fuzz/requirements.txt
	$(BIN)/python fuzz/streams.py $(or $(RUNS),1000000)
	HEADRACE_TEST_SEEDS=$(or $(SEEDS),100000) $(BIN)/python -m pytest tests/providers/test_mutated_streams.py
	HEADRACE_TEST_EXAMPLES=$(or $(EXAMPLES),10000) $(BIN)/python -m pytest tests/handlers/test_any_body.py
	HEADRACE_TEST_EXAMPLES=$(or $(EXAMPLES),1000) $(BIN)/python -m pytest tests/handlers/test_conformance.py
bench: $(READY) ## compare with other gateways, on loopback; see bench/compare.py --help
	$(BIN)/python bench/compare.py
lock: $(READY) ## write the lock files from pyproject.toml; UPGRADE=1 updates to newer releases
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra traces --group test --group check \
	  -o constraints.txt pyproject.toml
	$(COMPILE) -c constraints.txt --no-annotate -o requirements.txt pyproject.toml
	$(COMPILE) -c constraints.txt --no-annotate --extra traces -o requirements-traces.txt pyproject.toml
	$(if $(UPGRADE),npm --prefix web update --package-lock-only)
	echo pip | $(COMPILE) $(if $(UPGRADE),--upgrade) --no-annotate -o pip.txt -
	npm --prefix web run --silent lock
	npm --prefix tests/clients run --silent lock
	echo litellm | $(COMPILE) $(if $(UPGRADE),--upgrade) --no-annotate -o tests/clients/litellm.txt -
clean: ## remove the environment, the built page and every cache
	rm -rf web/dist web/node_modules tests/clients/node_modules .venv-litellm
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: check-server check-page
check-server: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
check-page:
	@if $(NPM) || [ "$$CI" = true ]; then $(MAKE) --silent $(MODULES) && npm --prefix web run --silent check; \
	  else echo "LEFT OUT: no npm here, the page's sources were not checked" >&2; fi

# Universal: one file for every platform and Python. It names no index: pip uses its configured one.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

# Each mark is made last, so that an interrupted installation is repeated.
$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Headrace needs Python 3.11 or newer as $(PYTHON); try make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the server in .venv: half a minute, once"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) -r requirements.txt
	@touch $@

# The pip that Python brings may be some years old, and take three times as long.
# The lock is complete; and Python compiles what is imported, which is a small part of all that.
$(READY): constraints.txt pip.txt $(RUNTIME)
	@echo "Installing what tests and checks need in .venv: a minute, once"
	@$(INSTALL) -r pip.txt
	@$(INSTALL) --no-deps --no-compile -r constraints.txt
	@touch $@

PIP = $(BIN)/python -m pip -qq --disable-pip-version-check
INSTALL = $(PIP) install --require-hashes

$(PAGE): $(PAGE_SOURCES) | $(BUILD_MODULES)
	@npm --prefix web run --silent build

$(BUILD_MODULES): web/package-lock.json
	$(NODE_IS_NEW_ENOUGH)
	@echo "Installing what builds the page: half a minute, once"
	@npm --prefix web ci --omit=dev --loglevel=error
	@touch $@

# `npm ci` begins with an empty folder, so it also installs what builds the page.
$(MODULES): web/package-lock.json
	$(NODE_IS_NEW_ENOUGH)
	@echo "Installing what builds and tests the page: half a minute, once"
	@npm --prefix web ci --loglevel=error
	@touch $(BUILD_MODULES) $@

# Tests that need clients make these.
$(CLIENTS): tests/clients/package-lock.json
	$(NODE_IS_NEW_ENOUGH)
	@echo "Installing clients that the server is tested with: half a minute, once"
	@npm --prefix tests/clients ci --loglevel=error
	@touch $@

$(LITELLM): tests/clients/litellm.txt
	@echo "Installing LiteLLM, which the server is tested with: a minute, once"
	@$(BIN)/python -m venv --without-pip .venv-litellm
	@$(PIP) --python .venv-litellm install --require-hashes --no-deps --no-compile -r $<
	@touch $@

NODE_IS_NEW_ENOUGH = @node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || { \
	  echo "This needs Node 20.19 or newer" >&2; exit 1; }
