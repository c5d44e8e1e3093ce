#!/usr/bin/env bash
# Version 2 of the shipped checkpoints: version 1's extractors, a head taught on more clips by what
# the fragments shown can tell, calibrated and measured on 1,000 clips each.
# Run from the repository's root. Every step goes on where it was killed.
#
#   bash training/runs/shipped-2.sh diving
#   bash training/runs/shipped-2.sh vault
set -euo pipefail
action=${1:?diving or vault}

case $action in
    diving) clips=2600 seed=1000 other=vault other_seed=2001 ;;
    vault) clips=2200 seed=2000 other=diving other_seed=1001 ;;
    *) echo "diving or vault, not $action" >&2; exit 2 ;;
esac

simulate() {  # action, clips, seed, folder
    python -m training simulate --action "$1" --clips "$2" --seed "$3" --test-share 0 --out "$4"
}

# Training, calibration and test clips are of three seeds, and so never meet. The first 1,600 clips
# are those that version 1 learned from.
simulate "$action" "$clips" "$seed" "data/$action-a"
simulate "$action" 1000 "$((seed + 1))" "data/$action-calibration"

# What it must not judge: foreign videos, and the other action.
python -m training foreign --clips 140 --seed 3000 --out "data/foreign-$action"
simulate "$other" 10 "$other_seed" "data/other-$other"
cp "data/other-$other"/clips/*.mp4 "data/foreign-$action/"

python -m training train --target final --action "$action" --data "data/$action-a" --out "runs/$action-head" \
    --base "$action@1" --no-readout --teach known --head-epochs 30 --head-variants 2 --head-rate 2e-3 --epochs 0

# Published to a store of their own; what has been measured there goes into the shipped one.
python -m training publish --run "runs/$action-head" --name "$action" --store runs/store
python -m training calibrate --checkpoint "$action" --store runs/store \
    --data "data/$action-calibration" --familiar "data/$action-a"
python -m training evaluate --checkpoint "$action" --simulate 1000 --seed "$((seed + 4))" \
    --foreign "data/foreign-$action" --store runs/store --json "runs/$action.json"
python -m training publish --source runs/store --name "$action" --metrics "runs/$action.json"
