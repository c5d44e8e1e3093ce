#!/usr/bin/env bash
# Version 7 of the shipped diving checkpoint: version 4's extractors, which have seen simulated dives only, a
# line fitted to what they see of 300 real dives, with simulated ones rehearsed.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/real-dives.sh FOLDER      with annotations.csv of UNLV-Dive's training split
set -euo pipefail

[[ -e runs/store-4 ]] || bash training/runs/diving-4.sh runs/store-4
python -m training simulate --action diving --clips 700 --seed 9100 --out data/simulated-dives
python -m training simulate --action diving --clips 1000 --seed 9110 --test-share 0 \
    --out data/more-dives

# The split for tests of data/simulated-dives (132 dives) stays unseen.
python -m training train --data "$1" --rehearse data/simulated-dives --rehearse data/more-dives \
    --rehearsal 0.06 --base diving@4 --store runs/store-4 --views 4 --head-variants 8 \
    --low-frame-rate 1 --steadiness 8 --folds 5 --cache data/.cache --out runs/diving

python -m training publish --run runs/diving --name diving --store runs/store-7 \
    --about "300 dives of the training split of UNLV-Dive (P. Parmar, B. Morris, Learning to Score\
 Olympic Events, CVPRW 2017): one event, the men's 10 m platform of London 2012, from one camera\
 plan; and 1568 simulated dives, simulator 1, seeds 9100 and 9110" \
    --licence "none stated: for research and evaluation; ask the authors before anything else"
python -m training foreign --clips 60 --seed 3000 --out data/foreign-diving
python -m training evaluate --checkpoint diving --simulate 150 --seed 9300 \
    --foreign data/foreign-diving --storage --store runs/store-7 --json runs/diving-7.json
python -m training publish --source runs/store-7 --name diving --metrics runs/diving-7.json \
    --storage runs/diving-7.json
