#!/usr/bin/env bash
# Version 10 of the shipped diving checkpoint: the mean of version 4's extractors, which have seen simulated dives
# only, learns more of these, while what it sees of 300 real dives stays as it was; a line fitted to what it sees of
# the real dives; another one of simulated dives, and a gate between them.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/real-dives.sh FOLDER      with annotations.csv of UNLV-Dive's training split
set -euo pipefail

picture=(--action diving --resize 72x96 --crop 64x64 --pad start --cache data/.cache)

[[ -e runs/store-4 ]] || bash training/runs/diving-4.sh runs/store-4
python -m training.runs.mean_extractor runs/store-4 diving@4 runs/diving-4.safetensors
python -m training simulate --action diving --clips 600 --seed 7400 --test-share 0 --pairs \
    --out data/diving-ladders
python -m training simulate --action diving --clips 1000 --seed 7401 --test-share 0 \
    --out data/diving-plain

python -m training pretrain "${picture[@]}" --data data/diving-ladders --data data/diving-plain \
    --extractor runs/diving-4.safetensors --keep "$1" --keep-batch 16 --keep-weight 0.7 \
    --steps 6000 --batch 48 --rate 2e-3 --out runs/diving-extractor
python -m training train "${picture[@]}" --data "$1" \
    --rehearse data/diving-ladders --rehearse data/diving-plain --apart --pairs 1 \
    --extractor runs/diving-extractor/extractor.safetensors --readout --epochs 0 \
    --views 4 --head-variants 8 --low-frame-rate 1 --steadiness 8 --folds 5 --out runs/diving

python -m training publish --run runs/diving --name diving --store runs/store-10 \
    --about "300 dives of the training split of UNLV-Dive (P. Parmar, B. Morris, Learning to Score\
 Olympic Events, CVPRW 2017): one event, the men's 10 m platform of London 2012, from one camera\
 plan; and beside them, with a line of their own, 3400 simulated dives, simulator 1: 600 ladders of\
 four, seed 7400, and 1000, seed 7401" \
    --licence "none stated: for research and evaluation; ask the authors before anything else"
python -m training foreign --clips 60 --seed 3000 --out data/foreign-diving
python -m training evaluate --checkpoint diving --simulate 500 --pairs 500 --seed 7404 \
    --foreign data/foreign-diving --storage --store runs/store-10 --json runs/diving-10.json
python -m training publish --source runs/store-10 --name diving --metrics runs/diving-10.json \
    --storage runs/diving-10.json
