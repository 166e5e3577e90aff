# `make suite` and `make test` work on a fresh machine: each first creates .venv and installs into it, once.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PROJECT := setup.cfg pyproject.toml constraints.txt
# a trained policy needs torch; without one the suite plays the random policy
SUITE_EXTRA := $(if $(wildcard flexlam_rl/checkpoints/litelab-tiny/config.json),models)
# of `make suite`: 2 take minutes; the suite's own default is 50, see docs/suite.md
EPISODES ?= 2
# where Python may not write bytecode, each of the hundreds of processes of the tests compiles torch's 2,000 files anew
unexport PYTHONDONTWRITEBYTECODE
# one test process a core: the compiled kernels are cached on disk and shared
WORKERS ?= auto

.PHONY: help install suite test docs-check lint site format bench clean

help:
	@echo "make install   create $(VENV) and install flexlam_rl into it"
	@echo "make suite     install, then play the evaluation suite ($(EPISODES) episodes a level, EPISODES=50 for all) and print its table"
	@echo "make test      install what the tests need, then run them"
	@echo "make docs-check  run the commands of the documents at a small size, in a few minutes"
	@echo "make lint      ruff (check and format) and mypy"
	@echo "make site      the documentation as a site, in site/; fails on a link that leads nowhere"
	@echo "make format    let ruff rewrite the sources"
	@echo "make bench     install what the benchmarks compare with, then measure the environments"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "flexlam_rl needs Python 3.11 or newer, and none was found; name one with: make PYTHON=/path/to/python"; exit 2; }
	@echo "Making a Python environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# editable, so that the checkout is what runs
COMMA := ,
INSTALL = @echo "Installing $(1) into $(VENV) ..."; $(BIN)/python tools/install.py $(VENV) "$(1)" $(2)

$(VENV)/.installed: $(PROJECT) | $(BIN)/python
	$(call INSTALL,.)
	@touch $@

$(VENV)/.installed-suite-$(SUITE_EXTRA): $(PROJECT) | $(BIN)/python
	$(call INSTALL,.$(SUITE_EXTRA:%=[%]),--kernels)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: $(PROJECT) | $(BIN)/python
	$(call INSTALL,.[test$(COMMA)dev],--kernels)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(PROJECT) | $(BIN)/python
	$(call INSTALL,.[bench])
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

# two episodes of 11 levels in two chunks of the same size; the suite's own 32 rows would leave a core idle
CHUNK = $(if $(filter 2,$(EPISODES)),--chunk 11)

suite: $(VENV)/.installed-suite-$(SUITE_EXTRA)
	$(BIN)/python -m eval.suite --episodes $(EPISODES) $(CHUNK)

# compiled once here, and not by each test process at the same time
COMPILE := $(BIN)/python -m flexlam_rl.envs.litelab.compiling > /dev/null

# each test process has a core of its own
test: export OMP_NUM_THREADS := $(or $(OMP_NUM_THREADS),1)
# in the order of tests/conftest.py, long files first, and not those with the most tests
test: $(VENV)/.installed-test
	@$(COMPILE)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25

docs-check: $(VENV)/.installed-test
	@$(COMPILE)
	$(BIN)/pytest tests/docs/run_all.py --durations 10

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the variable silences a notice about a later version of MkDocs
site: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/env_throughput.py

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
