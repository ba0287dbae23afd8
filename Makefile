# Tidemark's tasks. `make` alone lists them. Needs only make and Python 3.11 or later; the rest is fetched once,
# by locked hashes, into .venv (Python packages, a Java runtime) and the local Maven repository (the broker's jars).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# The newest of these that is on the PATH and is 3.11 or later; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Certificates of this system, as a company may have its own authority.
export UV_SYSTEM_CERTS ?= true
# Containers often set it. Without bytecode each of our many processes compiles all that it imports: 4 s instead of 1.5.
unexport PYTHONDONTWRITEBYTECODE
say := printf '\033[1m%s\033[0m\n'

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

# --- set-up: stamped by the lock files, so that a warm start does nothing ---

$(VENV)/.made: requirements-setup.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "Tidemark needs Python 3.11 or later and found none on the PATH." >&2; \
		echo "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)," >&2; \
		echo "or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; fi
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module with ensurepip. On Debian or Ubuntu: apt install python3-venv;" >&2; \
		echo "elsewhere install a complete Python, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(say) "Setting up: a virtual environment in $(VENV), with $$($(PYTHON) -V)"
	@[ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || "$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt || { \
		echo "Could not install uv by its hash. Is this machine online? Behind a proxy set HTTPS_PROXY; then run make again." >&2; exit 1; }
	@touch $@

$(VENV)/.synced: $(VENV)/.made requirements-dev.txt pyproject.toml
	@$(say) "Setting up: Python packages and a Java runtime, by locked hashes (a few minutes the first time)"
	@$(UV) pip sync --python $(BIN)/python --require-hashes requirements-dev.txt || { \
		echo "Could not install the locked packages. What was fetched is kept: run the same command again." >&2; \
		echo "Behind a proxy set HTTPS_PROXY; for a mirror of PyPI set UV_INDEX_URL." >&2; exit 1; }
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.jars: $(VENV)/.synced deploy/kafka/jars.lock
	@$(say) "Setting up: Apache Kafka's jars, by locked hashes"
	@$(BIN)/python -m services.shared.kafka.embedded.jars
	@touch $@

$(VENV)/.archive: $(VENV)/.jars services/shared/kafka/embedded/archive.py
	@$(say) "Setting up: an archive of the broker's classes, from which it starts in half the time (half a minute)"
	@$(BIN)/python -m services.shared.kafka.embedded.archive
	@touch $@

# Quix Streams, to measure beside it, pins other versions of what we use; public data sets come in packages that need more than
# we do. They have an environment of their own.
.venv-bench/.synced: $(VENV)/.made requirements-bench.txt
	@$(say) "Setting up: Quix Streams and public data sets, by locked hashes, to measure with"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-bench
	@$(UV) pip sync --quiet --python .venv-bench/bin/python --require-hashes requirements-bench.txt
	@touch $@

# Node is for tests alone: those that need it say so and are skipped without it.
NODE_MADE := tests/node/node_modules/.made
$(NODE_MADE): tests/node/package-lock.json
	@if command -v npm >/dev/null; then \
		$(say) "Setting up: Node packages for tests, by locked hashes"; \
		if npm --prefix tests/node ci --no-audit --no-fund --loglevel=error; then touch $@; else \
			echo "Could not install the locked Node packages: the tests that need them are skipped." >&2; fi; fi

# Go compiles its whole library before a program of ours, once: half a minute that no test shall wait for.
$(VENV)/.go: tests/clients/segment_go/go.sum | $(VENV)/.made
	@if go=$$(command -v go || command -v /usr/local/go/bin/go); then \
		$(say) "Setting up: Go modules for tests, by locked hashes"; \
		if (cd tests/clients/segment_go && "$$go" build -o /dev/null .); then touch $@; else \
			echo "Could not build with the locked Go modules: the test that needs them fails." >&2; fi; fi

.PHONY: setup
setup: $(VENV)/.archive ## Set up everything (the other tasks do this on their own)

# --- use ---

.PHONY: demo
demo: setup ## Run the whole pipeline with a simulated customer base
	@$(BIN)/tidemark demo $(ARGS)

.PHONY: dev
dev: setup ## Run the whole pipeline on this machine, empty: make dev ARGS="--port 8080 --data .data"
	@$(BIN)/tidemark dev $(ARGS)

.PHONY: dist
dist: setup ## Build what a server installs, into dist/: the wheel, the lock file of its packages, files for systemd
	@rm -rf dist && $(BIN)/python -m hatchling build -t wheel -d dist >/dev/null && cp requirements.txt deploy/systemd/* dist/ && ls dist

# --- judge ---

.PHONY: test
test: setup $(NODE_MADE) $(VENV)/.go ## Run the tests (ARGS="tests/unit -k name" narrows)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@# Three at a time on two cores, file by file, as most wait for processes; tests/conftest.py says in which order.
	@$(BIN)/python -m pytest -m "not alone and not long" -n 3 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest -m alone $$(grep -rlF pytest.mark.alone tests --include='test_*.py')
endif

.PHONY: test-long
test-long: setup ## Run the longest tests: all killed, a rolling upgrade, the demo and its customers, three brokers, years of commits, an erasure (ten minutes)
	@$(BIN)/python -m pytest -m long $$(grep -rlF pytest.mark.long tests --include='test_*.py')

.PHONY: soak
soak: setup ## Make up twenty times as many examples in the tests of properties (half an hour): make soak ARGS="tests/property/ingest"
	@TIDEMARK_SOAK=20 $(BIN)/python -m pytest --timeout 3600 $(or $(ARGS),$$(grep -rlF support.examples tests --include='test_*.py'))

.PHONY: check
check: setup ## Lint, types, architecture, lock files, alert rules
	@$(say) "ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(say) "mypy" && $(BIN)/mypy
	@$(say) "import-linter" && $(BIN)/lint-imports --no-logo
	@$(say) "locks" && ! grep -nE 'https?://' requirements*.txt deploy/kafka/jars.lock tests/clients/*/*.lock tests/clients/*/go.sum && ! grep -n '"resolved"' tests/node/package-lock.json
	@if ls deploy/prometheus/rules/*.yaml >/dev/null 2>&1; then $(MAKE) --no-print-directory rules-check; fi

.PHONY: rules-check
rules-check: ## Check and test the alert rules with promtool
	@if command -v promtool >/dev/null; then \
		$(say) "promtool" && promtool check rules deploy/prometheus/rules/*.yaml && promtool test rules deploy/prometheus/tests/*.yaml; \
	else echo "promtool is not installed: the alert rules are not checked (apt install prometheus has it)"; fi

.PHONY: fmt
fmt: setup ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

.PHONY: chaos
chaos: setup ## Break everything in turn, under load on three brokers: make chaos ARGS="--only broker-kill,clock"
	@$(BIN)/python -m tests.chaos.run $(ARGS)

.PHONY: bench
bench: setup .venv-bench/.synced ## Measure everything in one run on this machine: make bench ARGS="--json FILE"
	@$(BIN)/python -m tests.bench.run $(ARGS)

.PHONY: backtest
backtest: setup .venv-bench/.synced ## Back-test on public data sets and made-up customers, and write the figures into docs: make backtest ARGS="commits.csv.gz --account acct"
	@$(BIN)/tidemark backtest --generated 13 --generated 14 --markdown docs/backtest.md $(ARGS)
	@$(BIN)/python -m tests.bench.backtest.public_sets --record docs/real-data.md >/dev/null
	@git --no-pager diff --stat docs

.PHONY: docs
docs: setup ## Regenerate the pages of docs/ that are written from the code: measures, metrics, settings, topics, the plan's schema
	@for page in services.cli.pages.measures services.cli.pages.metrics services.cli.pages.settings services.cli.plan.schema schemas.topics_page; do $(BIN)/python -m $$page >/dev/null; done; git --no-pager diff --stat docs

.PHONY: golden
golden: setup ## Regenerate the golden files; read the diff before you commit it
	@TIDEMARK_GOLDEN=renew $(BIN)/python -m pytest -q tests/golden $(ARGS); git --no-pager diff --stat tests/golden schemas

.PHONY: screenshots
screenshots: setup ## Take the pictures of the README in a headless Chromium, from simulated data
	@$(BIN)/python -m tests.bench.console.pictures $(ARGS)

.PHONY: tracker
tracker: setup $(NODE_MADE) ## Build the page tracker from its TypeScript
	@npm --prefix tests/node run --silent check-tracker
	@npm --prefix tests/node run --silent build-tracker > services/ingest/tracker/t.js
	@$(BIN)/python -m services.cli.pages.tracker
	@echo "services/ingest/tracker/t.js: $$(gzip -9nc services/ingest/tracker/t.js | wc -c) bytes with gzip"

# --- keep ---

.PHONY: lock
lock: $(VENV)/.made ## Regenerate the lock files from pyproject.toml (versions and hashes, no addresses)
	@$(UV) pip compile pyproject.toml --group dev --extra backtest --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q -o requirements-dev.txt
	@$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q -c requirements-dev.txt -o requirements.txt
	@$(UV) pip compile --group bench --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q -o requirements-bench.txt

.PHONY: clean
clean: ## Remove what the tasks made here: environment, caches and the data of `make dev` and `make demo`
	@rm -rf $(VENV) .venv-bench tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache .data dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
