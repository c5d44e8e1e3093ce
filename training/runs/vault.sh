#!/usr/bin/env bash
# Version 8 of the shipped vault checkpoint: one extractor for all fragments that is taught what they show, each kind
# of fault and the family among it, and for each output a line, fitted to 1,500 ladders of one fault at three
# severities and to 1,000 plain vaults.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/vault.sh
set -euo pipefail
picture=(--action vault --resize 72x96 --crop 64x64 --pad start)
clips=(--data data/vault-ladders --data data/vault-plain --data data/vault-more-ladders)

simulate() {  # folder, clips, seed, and more options
    python -m training simulate --action vault --test-share 0 --out "data/$1" --clips "$2" --seed "$3" "${@:4}"
}

simulate vault-ladders 600 7300 --pairs
simulate vault-more-ladders 900 7300 --pairs --first 600
simulate vault-plain 1000 7301
simulate vault-calibration 600 7302

# It begins with version 7's extractor, which is in the history of this repository.
mkdir -p runs/store-7/vault
git archive dfcaf25:model_store/checkpoints/vault 7 | tar -x -C runs/store-7/vault
python -m training.runs.mean_extractor runs/store-7 vault@7 runs/vault-7.safetensors
python -m training pretrain "${picture[@]}" "${clips[@]}" --extractor runs/vault-7.safetensors \
    --steps 3600 --batch 64 --rate 1e-3 --out runs/vault-extractor
python -m training train "${picture[@]}" "${clips[@]}" --target both --teach known --pairs 1 \
    --extractor runs/vault-extractor/extractor.safetensors --readout --views 4 --head-variants 2 --epochs 0 \
    --out runs/vault

# What it must not judge: foreign videos, and dives.
python -m training foreign --clips 140 --seed 3000 --out data/foreign-vault
python -m training simulate --action diving --clips 10 --seed 1001 --test-share 0 --out data/other-diving
cp data/other-diving/clips/*.mp4 data/foreign-vault/

# Published to a store of their own; what has been measured there goes into the shipped one.
python -m training publish --run runs/vault --name vault --store runs/store
python -m training calibrate --checkpoint vault --store runs/store --data data/vault-calibration \
    --familiar data/vault-ladders --familiar data/vault-more-ladders --familiar data/vault-plain
python -m training evaluate --checkpoint vault --simulate 1000 --pairs 1000 --seed 7306 \
    --foreign data/foreign-vault --storage --store runs/store --json runs/vault.json
python -m training publish --source runs/store --name vault --metrics runs/vault.json --storage runs/vault.json
