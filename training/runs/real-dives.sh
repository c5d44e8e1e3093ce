#!/usr/bin/env bash
# Version 8 of the shipped diving checkpoint: version 4's extractors, which have seen simulated dives only; a
# line fitted to what they see of 300 real dives; another one of simulated dives, and a gate between them.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/real-dives.sh FOLDER      with annotations.csv of UNLV-Dive's training split
set -euo pipefail

[[ -e runs/store-4 ]] || bash training/runs/diving-4.sh runs/store-4
python -m training simulate --action diving --clips 300 --seed 7400 --test-share 0 --pairs \
    --out data/dives-ladders
python -m training simulate --action diving --clips 1000 --seed 7401 --test-share 0 \
    --out data/dives-plain

python -m training train --data "$1" --rehearse data/dives-ladders --rehearse data/dives-plain \
    --apart --pairs 1 --base diving@4 --store runs/store-4 --new-head --readout --epochs 0 \
    --views 4 --head-variants 8 --low-frame-rate 1 --steadiness 8 --folds 5 \
    --cache data/.cache --out runs/diving

python -m training publish --run runs/diving --name diving --store runs/store-8 \
    --about "300 dives of the training split of UNLV-Dive (P. Parmar, B. Morris, Learning to Score\
 Olympic Events, CVPRW 2017): one event, the men's 10 m platform of London 2012, from one camera\
 plan; and beside them, with a line of their own, 2200 simulated dives, simulator 1: 300 ladders of\
 four, seed 7400, and 1000, seed 7401" \
    --licence "none stated: for research and evaluation; ask the authors before anything else"
python -m training foreign --clips 60 --seed 3000 --out data/foreign-diving
python -m training evaluate --checkpoint diving --simulate 500 --pairs 500 --seed 7404 \
    --foreign data/foreign-diving --storage --store runs/store-8 --json runs/diving-8.json
python -m training publish --source runs/store-8 --name diving --metrics runs/diving-8.json \
    --storage runs/diving-8.json
