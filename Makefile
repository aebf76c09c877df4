# Two commands do all the set-up: `make demo` and `make test`.
#   PYTHON=python3.11    the interpreter that makes the environment
#   TORCH_INDEX=...      index with CPU wheels of PyTorch; without it the CPU build is taken only where pip finds one, else
#                        the build of the package index, on Linux with several GB of CUDA libraries
SHELL := /bin/sh
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps
CUDA := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx triton
COMPILE := uv pip compile --universal --python-version 3.11 --no-header --no-annotate --generate-hashes --quiet

.PHONY: demo test coverage test-fast lint up down setup lock clean

demo: $(STAMP) ## the whole pipeline once on generated data
	$(BIN)/python -m pipeline.local demo

test: $(STAMP) ## all tests, by file in two processes: what the tests of a file share is made once
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_MORE)

coverage: $(STAMP) ## all tests with coverage, which takes half as long again
	@$(MAKE) --no-print-directory test PYTEST_MORE="--cov --cov-report=term:skip-covered"

test-fast: $(STAMP) ## what to run while writing
	$(BIN)/python -m pytest tests/unit tests/contract tests/dags -m "not slow" -x -q

lint: $(STAMP) ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

up: $(STAMP) ## Airflow and MLflow on this machine
	$(BIN)/python -m pipeline.local up

down: $(STAMP) ## end what `up` started
	$(BIN)/python -m pipeline.local down

setup: $(STAMP) ## the environment alone

# Torch first: its build depends on the machine. The rest is the same everywhere, and nothing is resolved here.
$(STAMP): requirements.lock requirements-torch.lock requirements-cuda.lock pyproject.toml
	@echo "setting up $(VENV) (some minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
ifdef TORCH_INDEX
	@$(PIP) --require-hashes --index-url $(TORCH_INDEX) -r requirements-torch.lock
else
	@$(PIP) --require-hashes -r requirements-torch.lock 2>/dev/null || $(PIP) --require-hashes -r requirements-cuda.lock
endif
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib pipeline >/dev/null 2>&1 || true # some packages ship templates that are no Python
	@touch $(STAMP)

# Needs uv (`pip install uv`). Resolves pyproject.toml again and keeps the versions that still fit; a new version of
# PyTorch is written by hand, here and in requirements-torch.lock.
lock: ## write requirements.lock and requirements-cuda.lock
	@$(COMPILE) pyproject.toml --group dev --constraint requirements-cuda.lock --output-file requirements.lock \
		--no-emit-package torch $(CUDA:%=--no-emit-package %)
	@$(COMPILE) pyproject.toml --output-file requirements-cuda.lock \
		$(shell sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' requirements.lock)

clean: ## the environment and all caches, not what Crosslift wrote
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
