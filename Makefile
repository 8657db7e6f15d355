# `make` alone prints the verbs.  A laptop and CI use the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
unexport PYTHONDONTWRITEBYTECODE  # every process would compile everything again
PYTEST := .venv/bin/pytest
TWICE := tests/twice.sh
DATA ?= /var/lib/pileus/default
LISTEN ?= 127.0.0.1:8470
PORT ?= 8470
T ?=
CODE := common services cli deploy tests docs
SERVICES := identity image compute

.PHONY: help setup packages demo run stop logs run-distributed check lint style format types imports \
        test test-unit test-contract test-integration test-e2e test-security interop cloud-init bench sizes docs migration lock clean

help: ## print the verbs
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.installed ## install everything from the lock; quick when nothing changed
	@deploy/packages.sh
	@deploy/console-pages.sh

.venv/.installed: requirements.lock pyproject.toml
	@deploy/packages.sh
	@test -x $(PY) || python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@git config core.hooksPath .githooks 2>/dev/null || true
	@touch $@

demo: setup ## from a bare machine to a running guest and its console
	@.venv/bin/pileus up --data $(DATA) --listen $(LISTEN) --detach
	@.venv/bin/pileus demo --data $(DATA)
	@.venv/bin/pileus status --data $(DATA)

run: setup ## the whole platform on this machine in one process
	@.venv/bin/pileus up --data $(DATA) --listen $(LISTEN)

run-distributed: setup ## the same with RabbitMQ, PostgreSQL and separate processes: DATA=DIR PORT=N
	@.venv/bin/pileus distributed up --data $(DATA) --port $(PORT) --supervise

stop: ## stop what `run` or `run-distributed` started: DATA=DIR
	@.venv/bin/pileus down --data $(DATA)

logs: ## follow the log
	@tail -n 50 -F $(DATA)/pileus.log $(DATA)/log/*.log 2>/dev/null

check: style ## the quick loop, under a minute: types and import rules are looked at beside the tests
	@said=$$(mktemp); $(MAKE) -s types imports >$$said 2>&1 & typed=$$!; \
	$(PYTEST) -q -n 2 -m "not slow" tests/unit tests/architecture $(T); tested=$$?; \
	wait $$typed; typed=$$?; cat $$said; rm $$said; exit $$((tested | typed))

lint: style types imports ## ruff, mypy, import rules

style: ## ruff alone
	@.venv/bin/ruff check $(CODE)
	@.venv/bin/ruff format --check --quiet $(CODE)

types: ## mypy alone
	@.venv/bin/mypy $(CODE)

imports: ## import rules alone
	@.venv/bin/lint-imports

format: ## ruff format and its safe fixes
	@.venv/bin/ruff format $(CODE)
	@.venv/bin/ruff check --fix $(CODE)

test: setup lint test-unit test-contract test-integration test-e2e ## everything that CI runs

test-unit: ## unit and architecture tests
	@$(TWICE) -n 2 tests/unit tests/architecture tests/security $(T)

test-contract: ## real adapters behave like the fakes
	@$(TWICE) -n 2 tests/contract $(T)

test-integration: ## one service whole, one outside thing real
	@$(TWICE) -n 2 --dist loadfile tests/integration $(T)

test-e2e: ## the platform through its public face, embedded and distributed
	@$(TWICE) -n 2 --ignore tests/e2e/test_under_fire.py tests/e2e $(T)
	@$(TWICE) tests/e2e/test_under_fire.py $(T)  # alone: it kills the machine's libvirtd

interop: setup ## OpenStack's acceptance tests against a cloud of their own: SET=identity ONLY=trusts
	@$(PY) -m tests.interop $(SET) --only "$(ONLY)"

cloud-init: setup ## build an ordinary Debian, boot it in a cloud of its own and see what its cloud-init made of it
	@$(PYTEST) -q tests/interop/test_debian_guest.py

bench: setup ## measure the budgets of docs/SPECIFICATION.md
	@$(PY) -m tests.bench

sizes: ## the ten longest files and functions
	@$(PY) tests/architecture/sizes.py

docs: ## generate the tables under docs/api
	@$(PY) docs/generate.py
	@$(PY) -m cli.settings_template > deploy/config/pileus.toml

migration: ## a new numbered migration: SERVICE=compute NAME="add a table"
	@$(PY) deploy/new_migration.py "$(SERVICE)" "$(NAME)"

lock: ## pin the newest versions that pyproject.toml allows
	@$(PY) -m piptools compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-trusted-host \
	  --no-emit-find-links --generate-hashes --allow-unsafe --all-extras --upgrade -o requirements.lock pyproject.toml

clean: ## remove what make made
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build
