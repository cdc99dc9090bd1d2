# Every target does its own set-up: a virtual environment in .venv, made once, remade when the lock changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BACKENDS := .venv-backends
UV_VERSION := 0.13.8
# Where this is set, every process compiles all of TensorFlow's and Keras' sources again: 12 s each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check format lint types imports bench docs backends lock clean

demo: $(VENV)/.ready  ## teach the pretrained trunk to find defective solar cells
	$(BIN)/visus demo

test: $(VENV)/.ready  ## the whole suite (under 15 minutes on two cores)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope

check: lint types imports test  ## what CI runs

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.ready
	$(BIN)/mypy

imports: $(VENV)/.ready
	$(BIN)/lint-imports

bench: $(VENV)/.ready  ## measured beside the peers; prints its tables
	$(BIN)/python -m benchmarks

docs: $(VENV)/.ready  ## the generated catalogue in docs/
	$(BIN)/python docs/generate.py

backends: $(BACKENDS)/.ready  ## the tests marked `backend`, under JAX and Torch, without TensorFlow
	KERAS_BACKEND=jax $(BACKENDS)/bin/python -m pytest -q -m backend $$(grep -rl mark.backend tests)
	KERAS_BACKEND=torch $(BACKENDS)/bin/python -m pytest -q -m backend $$(grep -rl mark.backend tests)

$(VENV)/.ready: requirements-dev.txt pyproject.toml
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet requirements-dev.txt
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

$(BACKENDS)/.ready: requirements-dev.txt requirements-backends.txt pyproject.toml
	rm -rf $(BACKENDS)
	$(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/$(BACKENDS) $(BACKENDS)/bin/uv pip install --quiet -r requirements-backends.txt
	VIRTUAL_ENV=$(CURDIR)/$(BACKENDS) $(BACKENDS)/bin/uv pip install --quiet --no-deps --editable .
	touch $@

lock: $(VENV)/.ready  ## pin the newest versions that pyproject.toml admits
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url \
	  --no-emit-find-links --extra demo --extra litert --extra onnx --extra openvino --extra tensorboard \
	  --group dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) $(BACKENDS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
