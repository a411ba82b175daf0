# windlass: the commands of everyday work. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := rust/core/src rust/core/build.rs rust/core/Cargo.toml rust/gpu/src rust/gpu/Cargo.toml rust/load/src rust/load/Cargo.toml rust/python/src rust/python/Cargo.toml rust/Cargo.toml rust/Cargo.lock proto
# PyPI's PyTorch for Linux brings CUDA along; tests need the CPU only, but any build will do.
TORCH ?= torch

export PYO3_PYTHON = $(abspath $(BIN)/python)

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python lint format check tools build proto docs clean prerequisites

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.built $(VENV)/.demo ## build, then train, serve and measure two small models on real images
	$(BIN)/windlass demo $(DEMO)

test: test-rust test-python ## run every test

test-rust: $(VENV)/.python
	cd rust && cargo test --quiet --package windlass-core --package windlass-load

test-python: $(VENV)/.built $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.built $(VENV)/.test $(VENV)/.lint ## check style and types of both languages
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	cd rust && cargo fmt --check
	cd rust && cargo clippy --quiet --workspace --all-targets -- --deny warnings

format: $(VENV)/.lint ## format both languages
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix --quiet src tests benchmarks || true
	cd rust && cargo fmt

check: lint test ## what CI runs

tools: $(VENV)/.python ## install the container engine, kubectl, linters and all else that tests of what is shipped run (into /var/cache/windlass-tools)
	PYTHONPATH=tests $(BIN)/python -m tools

build: ## build the extension again, in release mode
	rm -f $(VENV)/.built
	$(MAKE) $(VENV)/.built

proto: $(VENV)/.test ## generate the Python messages from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=src/windlass/config --pyi_out=src/windlass/config proto/model_config.proto

docs: $(VENV)/.built ## write the reference pages that are generated
	$(BIN)/python docs/cli.py
	$(BIN)/python docs/project.py

clean: ## remove what was built
	rm -rf $(VENV) rust/target build dist

# A missing prerequisite is named together with what installs it.
prerequisites:
	@command -v $(PYTHON) >/dev/null || { echo "error: no \`$(PYTHON)\`: install Python 3.11 or newer, e.g. apt install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: \`$(PYTHON)\` is older than 3.11: name another with make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "error: \`$(PYTHON)\` has no venv: apt install python3-venv"; exit 2; }
	@command -v cargo >/dev/null || { echo "error: no \`cargo\`: install Rust from https://rustup.rs, or apt install rustup && rustup default stable"; exit 2; }
	@command -v cc >/dev/null || { echo "error: no C compiler \`cc\`: apt install gcc"; exit 2; }

$(VENV)/.python: | prerequisites
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1' 'maturin>=1.9,<2'
	@touch $@

$(VENV)/.built: $(VENV)/.python pyproject.toml $(shell find $(RUST) -type f 2>/dev/null)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet
	@touch $@

$(VENV)/.demo: $(VENV)/.built
	$(BIN)/python -m pip install --quiet 'onnx>=1.17' 'onnxruntime>=1.19' 'scikit-learn>=1.5' 'tritonclient[grpc]>=2.50'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet $(TORCH) --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

-include benchmarks/targets.mk
