#!/usr/bin/env bash
# Version 7 of the shipped vault checkpoint: version 6 taught on, extractors and head together, on clips of
# which a fault comes at three severities, with both outputs; calibrated and measured on new clips.
# Version 6 comes out of the history of this repository.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/vault.sh
set -euo pipefail

simulate() {  # clips, seed, folder, and --pairs
    python -m training simulate --action vault --clips "$1" --seed "$2" --test-share 0 --out "$3" "${@:4}"
}

# Clips of different seeds never meet.
simulate 600 7300 data/vault-ladders --pairs
simulate 1000 7301 data/vault
simulate 600 7302 data/vault-calibration
python -m training foreign --clips 140 --seed 3000 --out data/foreign-vault

if [[ ! -e runs/store-6 ]]; then
    mkdir -p runs/store-6/vault
    git archive fce6fa9:model_store/checkpoints/vault 6 | tar -x -C runs/store-6/vault
    echo 6 > runs/store-6/vault/current
fi
python -m training train --action vault --data data/vault-ladders --data data/vault --out runs/vault \
    --base vault@6 --store runs/store-6 --target both --teach known --pairs 1 \
    --epochs 12 --extractor-rate 2e-4 --rate 1e-3 --frozen-norm --validation 0.06

# Published to a store of its own; what has been measured there goes into the shipped one.
python -m training publish --run runs/vault --name vault --store runs/store-7
python -m training calibrate --checkpoint vault --store runs/store-7 \
    --data data/vault-calibration --familiar data/vault
python -m training evaluate --checkpoint vault --simulate 1000 --pairs 1000 --seed 7303 \
    --foreign data/foreign-vault --storage --store runs/store-7 --json runs/vault-7.json
python -m training publish --source runs/store-7 --name vault --metrics runs/vault-7.json \
    --storage runs/vault-7.json
