# What a person does in this repository, a line each. `make help` prints the targets that carry two number signs.
# Needed: Python 3.11 or newer with venv and pip, and a package index. `make interop` also wants Go and Debian's peers.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
FILES ?= bundler/trust bundler/bundle
READERS ?=
SECONDS ?= 30
WHEELS ?= dist/wheels
PYTHON_VERSIONS ?=
PLATFORM ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --maxprocesses 8 --dist worksteal
UV := 0.13.9

# pytest rewrites every assertion of every test: where nothing may be kept of that, it does so anew in each run and each process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(VENV)/installed ## a virtual environment from pinned, hashed requirements; the command is .venv/bin/oci-bundler

wheels: $(VENV)/requirements ## all that an installation without an index needs, in WHEELS; for other machines with PYTHON_VERSIONS and PLATFORM
	rm -f $(WHEELS)/*.whl
	$(PIP) wheel --no-deps --no-index --no-build-isolation --wheel-dir $(WHEELS) .
	for version in $(or $(PYTHON_VERSIONS),''); do \
	  $(PIP) download --only-binary :all: --require-hashes -r requirements/run.txt -r requirements/pipx.txt --dest $(WHEELS) \
	    $${version:+--python-version $$version} $(PLATFORM:%=--platform %) || exit 1; done

demo: install ## a complete crossing on the embedded registry, from nothing
	$(BIN)/python scripts/demo

test: $(VENV)/dev ## every test that needs no program from elsewhere
	$(PYTEST) $(PARALLEL) --ignore=tests/interop $(PYTEST_ARGS) tests

unit: $(VENV)/dev ## what asks one module each, in under a minute: the loop of whoever writes code
	$(PYTEST) $(PARALLEL) --hypothesis-profile=few $(PYTEST_ARGS) tests/unit

check: $(VENV)/dev ## style, types, and the layers of the architecture
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(PYTEST) --quiet tests/unit/test_architecture.py

format: $(VENV)/dev ## the formatting that check asks for
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet

interop: $(VENV)/dev ## the tests against cosign, notation, oras, skopeo and real registries; builds those written in Go
	tests/interop/tools/build || test -z "$$CI"
	$(PYTEST) $(PARALLEL) --dist loadgroup $(PYTEST_ARGS) tests/interop

faults: $(VENV)/dev ## every k-th write, fsync, rename, read, send and receive of a crossing fails in turn; prints how many
	OCI_BUNDLER_FAULTS=all $(PYTEST) --quiet -s $(PYTEST_ARGS) tests/faults/test_injected.py tests/faults/test_station_injected.py

coverage: $(VENV)/dev ## branch coverage of trust and bundle by their unit tests, which is to be whole
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --quiet -m "not slow" $(PYTEST_ARGS) tests/unit/trust tests/unit/bundle
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='bundler/trust/*,bundler/bundle/*' --fail-under=100

mutants: $(VENV)/dev ## every check of FILES (folders or files) removed or turned round in turn; prints those that no test misses
	$(BIN)/python scripts/mutants $(FILES)

fuzz: $(VENV)/fuzz ## coverage-guided fuzzing of each reader, SECONDS each
	PYTHONPATH=. $(VENV)/fuzz/bin/python scripts/fuzz --seconds $(SECONDS) $(READERS)

vectors: $(VENV)/dev ## makes the bundle vectors anew: a difference in them is a change of the format
	$(BIN)/python scripts/vectors

picture: $(VENV)/dev ## draws the README's terminal anew, from what the commands print today
	PYTHONPATH=. $(BIN)/python scripts/picture

bench: $(VENV)/dev ## the measured times and memory, beside the goals
	$(BIN)/python scripts/bench

requirements: $(VENV)/dev ## pins the newest versions of everything, with hashes
	$(PIP) install uv==$(UV)
	cd requirements && for name in run build pipx dev fuzz; do \
	  ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
	    --custom-compile-command 'make requirements' --output-file $$name.txt $$name.in || exit 1; done

clean: ## removes what the targets made, but for the peers, which take long to build
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bundler scripts tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/requirements: requirements/run.txt requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is wanted, $(PYTHON) is %d.%d: make PYTHON=python3.13" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/run.txt -r requirements/build.txt
	@touch $@

$(VENV)/installed: $(VENV)/requirements pyproject.toml
	$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/installed requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/fuzz: $(VENV)/requirements requirements/fuzz.txt
	$(PYTHON) -m venv $@
	$@/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/run.txt -r requirements/fuzz.txt
	@touch $@

.PHONY: help install wheels demo test unit check format interop faults coverage mutants fuzz vectors picture bench requirements clean
