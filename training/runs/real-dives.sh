#!/usr/bin/env bash
# Versions 5 and 6 of the shipped diving checkpoint: version 4's extractors, a line fitted to what they see
# of 300 real dives, with simulated ones rehearsed. Version 6 has the weights of version 5; clips are read by a newer
# contract (high dynamic range, bars, fields, times), and its card says how far scores then move.
# Run from the repository's root, with version 4 (it is in the history) in its store. Every step goes
# on where it was killed.
#
#   bash training/runs/real-dives.sh FOLDER      with annotations.csv of UNLV-Dive's training split
set -euo pipefail

python -m training simulate --action diving --clips 700 --seed 9100 --out data/simulated-dives

# The split for tests of data/simulated-dives (132 dives) stays unseen.
python -m training train --data "$1" --rehearse data/simulated-dives --base diving@4 --views 4 \
    --head-variants 4 --folds 5 --cache data/.cache --out runs/diving

python -m training publish --run runs/diving --name diving --store runs/store-5 \
    --about "300 dives of the training split of UNLV-Dive (P. Parmar, B. Morris, Learning to Score\
 Olympic Events, CVPRW 2017): one event, the men's 10 m platform of London 2012, from one camera\
 plan; and 568 simulated dives, simulator 1, seed 9100" \
    --licence "none stated: for research and evaluation; ask the authors before anything else"
python -m training foreign --clips 60 --seed 3000 --out data/foreign-diving
python -m training evaluate --checkpoint diving --simulate 150 --seed 9300 \
    --foreign data/foreign-diving --storage --store runs/store-5 --json runs/diving-5.json
python -m training publish --source runs/store-5 --name diving --metrics runs/diving-5.json \
    --storage runs/diving-5.json
