#!/usr/bin/env bash
# Version 1 of the shipped checkpoints, from nothing: simulate, teach an extractor, train, calibrate, measure.
# Run from the repository's root. Every step goes on where it was killed.
#
#   bash training/runs/shipped-1.sh diving
#   bash training/runs/shipped-1.sh vault
set -euo pipefail
action=${1:?diving or vault}
picture=(--resize 72x96 --crop 64x64 --pad start)

case $action in
    diving)
        other=vault other_seed=2001
        seed=1000 steps=1800
        rates=(--head-epochs 40 --head-variants 3 --head-rate 2e-3)
        rates+=(--epochs 6 --extractor-rate 6e-5 --rate 2e-4) ;;
    vault)
        other=diving other_seed=1001
        seed=2000 steps=2500
        rates=(--head-epochs 30 --head-variants 2)
        rates+=(--epochs 10 --extractor-rate 3e-4 --rate 5e-4) ;;
    *) echo "diving or vault, not $action" >&2; exit 2 ;;
esac

simulate() {  # clips, seed, folder: training clips, calibration clips and test clips never meet
    python -m training simulate --action "$action" --clips "$1" --seed "$2" --test-share 0 --out "$3"
}

simulate 1600 "$seed" "data/$action-a"
simulate 600 "$((seed + 1))" "data/$action-calibration"

# What it must not judge: foreign videos, and the other action.
python -m training foreign --clips 140 --seed 3000 --out "data/foreign-$action"
python -m training simulate --action "$other" --clips 10 --seed "$other_seed" --out "data/other-$other"
cp "data/other-$other"/clips/*.mp4 "data/foreign-$action/"

python -m training pretrain --action "$action" --data "data/$action-a" --out "runs/$action-pre" \
    --steps "$steps" "${picture[@]}"
python -m training train --target final --action "$action" --data "data/$action-a" --out "runs/$action" \
    --extractor "runs/$action-pre/extractor.safetensors" "${rates[@]}" --frozen-norm \
    --auxiliary 0.5 "${picture[@]}"

# Published to a store of their own; what has been measured there goes into the shipped one.
python -m training publish --run "runs/$action" --name "$action" --store runs/store
python -m training calibrate --checkpoint "$action" --store runs/store \
    --data "data/$action-calibration" --familiar "data/$action-a"
python -m training evaluate --checkpoint "$action" --simulate 300 --seed "$((seed + 2))" \
    --foreign "data/foreign-$action" --store runs/store --json "runs/$action.json"
python -m training publish --source runs/store --name "$action" --metrics "runs/$action.json"
