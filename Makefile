# One command per chore; continuous integration runs the same ones.

# python3.11 if it runs, else python3; the version is checked before the environment is made.
PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2

.PHONY: help demo check test test-torch test-bounds test-newest test-lowest validate bench \
  bench-gate bench-gpu clean .venv

help:
	@echo "demo        run the built-in study digits-kernels"
	@echo "check       format, lint, types, docstrings, import contracts"
	@echo "test        check, fast tests, examples in docstrings and documentation"
	@echo "test-torch  install PyTorch, transformers, Optax and Flax, and run their tests"
	@echo "test-bounds a short suite with the newest and with the lowest dependencies"
	@echo "validate    agreement of theory and experiment at full size"
	@echo "bench       speed and memory"
	@echo "bench-gate  slower than the baseline of this machine, or than BASE=revision?"
	@echo "bench-gpu   the theory on an accelerator, in an environment of its own"
	@echo "clean       remove the environment and everything generated"

.venv: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "orderparam needs Python 3.11 or newer, but $(PYTHON) is %d.%d; call make PYTHON=..." \
	  % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -c constraints/base.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/orderparam run digits-kernels

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

test: check
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# PyTorch is no part of the base: it is installed only when there are tests that need it.
test-torch: $(INSTALLED)
	@if [ -n "$$(find tests/torch -name 'test_*.py' 2>/dev/null)" ]; then set -e; \
	  $(BIN)/python -m pip install --quiet -c constraints/base.txt -c constraints/extras.txt \
	    -e '.[dev,torch,huggingface,optax]'; \
	  $(BIN)/pytest tests/torch; \
	else \
	  echo "No part of orderparam uses PyTorch yet, so there is nothing to test with it."; \
	fi

# The bounds of pyproject.toml hold: the newest release of every dependency, and the lowest of each.
# Neither environment sees the constraints; each is made anew, so that "newest" means today's.
SHORT := tests/test_cli.py tests/test_conformance.py tests/test_names.py tests/test_compilation.py \
  tests/test_imports.py tests/test_kept_programs.py \
  tests/results tests/comparison tests/plots tests/data tests/studies/test_runner.py

test-bounds: test-newest test-lowest

# Old releases warn of each other's deprecations, which is nothing that we can mend.
test-lowest: QUIET := -W ignore::DeprecationWarning

test-newest test-lowest: test-%:
	$(PYTHON) -m venv --clear .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade pip
	if [ $* = lowest ]; then $(PYTHON) constraints/lowest.py > .venv-lowest/lowest.txt; \
	  else : > .venv-newest/newest.txt; fi
	.venv-$*/bin/python -m pip install --quiet -c .venv-$*/$*.txt -e '.[test]'
	.venv-$*/bin/python -m pip list --format freeze | grep -iE '^(jax|numpy|typer|equinox|scipy)='
	.venv-$*/bin/python -m pytest -n $(WORKERS) -p no:cacheprovider $(QUIET) $(SHORT)

validate: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) -m validate

bench: $(INSTALLED)
	$(BIN)/python benchmarks/run.py

# Slower than the stored baseline of this machine, or than BASE? Paired runs; 15 % are allowed.
bench-gate: $(INSTALLED)
	$(BIN)/python benchmarks/paired.py $(if $(BASE),--base $(BASE))

# An environment of its own with the newest JAX, for the accelerator that is there if any.
bench-gpu:
	$(PYTHON) -m venv --clear .venv-gpu
	.venv-gpu/bin/python -m pip install --quiet --upgrade pip
	if command -v nvidia-smi >/dev/null; then extra='jax[cuda12]'; else extra=jax; fi; \
	  .venv-gpu/bin/python -m pip install --quiet --upgrade -e . "$$extra"
	.venv-gpu/bin/python benchmarks/gpu.py

clean:
	rm -rf .venv .venv-* .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist site src/orderparam.egg-info
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
