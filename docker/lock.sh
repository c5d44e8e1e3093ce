#!/usr/bin/env bash
# What the image installs, by hash: writes docker/requirements.{gpu,cpu}.lock from pyproject.toml.
#
# TORCH_WHEELS is where torch's CPU build is: PyTorch's own page, or a folder with the wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
torch_wheels=${TORCH_WHEELS:-https://download.pytorch.org/whl/cpu/torch/}

compile() {
  uv pip compile pyproject.toml --quiet --upgrade --no-config --no-annotate --generate-hashes \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --custom-compile-command 'make lock' "$@"
}

unset UV_FIND_LINKS UV_EXTRA_INDEX_URL  # what is offered there would come into both
compile --output-file docker/requirements.gpu.lock
# The same versions, but for torch, whose CPU build (2.13.0+cpu) sorts above the ordinary one.
compile --output-file docker/requirements.cpu.lock \
  --constraint docker/requirements.gpu.lock --find-links "$torch_wheels"
grep -q '^torch==.*+cpu' docker/requirements.cpu.lock
