# Every target makes .venv itself when it is missing. The service's settings, SCORING_HOST and
# SCORING_PORT among them, come from the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help serve test test-slow test-docker bench bench-gpu demo tour pictures lint format lock
.PHONY: audit clean

help:  ## this list
	@awk -F ':.*## *' '/^[a-z-]+:.*##/ { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch on its own and first: where pip is offered a CPU build (2.13.0+cpu, by PIP_FIND_LINKS or
# PIP_EXTRA_INDEX_URL) it takes that, instead of gigabytes of GPU libraries; on a GPU host the
# ordinary wheel.

$(VENV)/.serve: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet 'torch==2.13.*'
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

serve: $(VENV)/.serve  ## the service on http://127.0.0.1:8000 with the shipped checkpoints
	$(BIN)/python -m service

# PYTHONDONTWRITEBYTECODE, where it is set, would let each of a hundred processes compile anew.
test: $(VENV)/.test  ## all tests but the slow ones, by WORKERS=3 processes
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(VENV)/.test  ## the tests that take minutes each, with what they measure
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m slow -s --durations=0

test-docker: $(VENV)/.serve  ## build the image for CPUs and try it, as root on Debian
	PYTHON=$(BIN)/python docker/verify.sh

bench: $(VENV)/.bench  ## measure every stage against its peers; fails when a target is missed
	$(BIN)/python -m tests.bench

bench-gpu: $(VENV)/.test  ## measure on an NVIDIA GPU, into tests/bench/GPU.md
	$(BIN)/python -m tests.bench.gpu

demo: $(VENV)/.test  ## simulate a dive and a vault, and score them without a server
	$(BIN)/python -m training simulate --action diving --clips 1 --seed 7 --out data/demo/diving
	$(BIN)/python -m training simulate --action vault --clips 1 --seed 7 --out data/demo/vault
	$(BIN)/python -m model_store score data/demo/diving/clips/00000.mp4
	$(BIN)/python -m model_store score data/demo/vault/clips/00000.mp4 --action vault

tour: $(VENV)/.test  ## run docs/tour.ipynb again, and keep what its cells print
	cd docs && PATH="$(abspath $(BIN)):$$PATH" PYTHONWARNINGS=ignore:install \
	    jupyter-execute --inplace tour.ipynb

pictures: $(VENV)/.test  ## draw the README's pictures of the page anew; needs Chromium
	$(BIN)/python -m tests.browser.pictures

lint: $(VENV)/.test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.serve  ## what the image installs, anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	PATH=$(abspath $(BIN)):$$PATH docker/lock.sh

# Exit code 0 only if every package of both locks could be looked up and none has an open advisory.
# torch's CPU build is looked up as the version that it is a build of. AUDIT_SERVICE=osv asks
# osv.dev instead of pypi.org.
AUDIT_SERVICE ?= pypi
audit: | $(BIN)/python  ## known vulnerabilities of what the image installs; needs the network
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.10,<3'
	sed 's/+cpu / /' docker/requirements.cpu.lock >$(VENV)/requirements.cpu.txt
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	  --vulnerability-service $(AUDIT_SERVICE) \
	  --requirement docker/requirements.gpu.lock --requirement $(VENV)/requirements.cpu.txt

clean:  ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
