# Every job of the project. It needs make and Python 3.10 or newer; all else goes into .venv.
#
#   make run ARGS="--help"            pass arguments on
#   make test ARGS="-k tanh"
#   make run PYTHON=python3.12        choose the Python that .venv is made with

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint format types layers check cuda-check bench golden docs-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(READY)-report ## train an MLP and a CNN on handwritten digits, eager and compiled, and compare
	@OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1} $(PY) -m jitgrad demo $(ARGS)

test: $(READY)-test ## run all tests and the examples in docstrings, in parallel
	@$(PY) -m pytest -n auto --maxprocesses=8 --dist=worksteal --doctest-modules tests jitgrad $(ARGS)

lint: $(READY)-dev ## check style and formatting (ruff)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(READY)-dev ## format the code and repair what ruff can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(READY)-dev ## check types (pyright)
	@$(PY) -m pyright

layers: $(READY)-dev ## check that nothing imports upwards (import-linter)
	@$(VENV)/bin/lint-imports

check: lint types layers test ## everything that continuous integration checks

cuda-check: ## compile every op's kernels for NVIDIA GPUs, in .venv-cuda; run them if there is one
	@$(MAKE) --no-print-directory VENV=.venv-cuda .venv-cuda/.installed-cuda,test
	@.venv-cuda/bin/python -m pytest -q tests/codegen/test_offline.py
	@.venv-cuda/bin/python -m jitgrad cuda check $(ARGS)

bench: $(READY)-report ## run the benchmarks, or some: make bench ARGS="benchmarks/NAME.py"
	@$(PY) -m benchmarks $(ARGS)

golden: $(READY)-test ## rewrite the golden files of tests/golden; read the diff before committing
	@$(PY) -m pytest -q --update-golden tests $(ARGS) || [ $$? -eq 5 ]

docs-check: $(READY)-test ## check links, examples and generated blocks of the Markdown files
	@$(PY) -m pytest -q tests/test_readme.py tests/test_decisions.py
	@$(PY) -m pytest -q tests/test_house.py -k markdown

clean: ## remove caches, builds, reports and dumps; .venv stays
	@rm -rf build dist htmlcov reports jitgrad-report*.html jitgrad-dump* .coverage .coverage.*
	@rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# ------------------------------------------------------------------------------- the environment
# One stamp per extra says that it is installed; a change of pyproject.toml makes them all stale.
# `dev` contains `test`, which contains `report`, so installing one also sets the stamps inside it.

$(READY)-report: INSIDE := report
$(READY)-cuda,test: INSIDE := cuda report test
$(READY)-test: INSIDE := report test
$(READY)-dev: INSIDE := report test dev

$(READY)-%: pyproject.toml $(VENV)/pyvenv.cfg
	@echo "Installing jitgrad[$*] into $(VENV); the first time this takes a minute or two ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check "pip>=22"
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $(addprefix $(READY)-,$(INSIDE))

# Made anew when it is not there, or when the Python that it points to is gone.
ifeq ($(shell test -x $(PY) && echo there),)
.PHONY: $(VENV)/pyvenv.cfg
endif

$(VENV)/pyvenv.cfg:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "jitgrad needs Python 3.10 or newer, but there is no '$(PYTHON)' here."; \
		echo "Install one, or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "jitgrad needs Python 3.10 or newer, but '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)."; \
		echo "Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version) ..."
	@"$(PYTHON)" -m venv --clear $(VENV) || { \
		rm -rf $(VENV); \
		echo "Python's venv module does not work here. On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
