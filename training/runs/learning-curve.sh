#!/usr/bin/env bash
# What further judged clips are worth, and what simulated dives are worth beside them: Spearman by the number
# of clips that a run learns from, by cross-validation on always the same clips.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed; what
# is there already is not made again.
#
#   bash training/runs/learning-curve.sh FOLDER      with annotations.csv of judged clips
#
# Three starts, all with frozen extractors and a line that is fitted in closed form:
#
#   scratch    extractors with random weights. A whole network that learns end to end from random weights
#              is not here: it takes too long on a CPU
#   new-head   the extractors of BASE; its head is left out
#   own-head   BASE with its head, where that helps, and the line
#
# Options, from the environment:
#
#   BASE     diving@4: a checkpoint that has not seen these clips. That one has seen simulated dives only;
#            training/runs/diving-4.sh makes a store of it
#   STORE    its store; else the shipped one
#   CLIPS    numbers of clips to learn from, "20 50 100 240"
#   SEEDS    "0 1 2": each chooses other clips, and other random weights
#   FOLDS    5
#   ACTION   diving
#   TRAIN    further options for every `train`, as "--views 4"
#   CACHE    folder for decoded clips, where the data set's own cannot be written to
#   RUNS, OUT    folders for the runs and for the report
#   NOTE     what readers of the report must know first
set -euo pipefail
data=${1:?folder of a data set}
BASE=${BASE:-diving@4} STORE=${STORE:-} CLIPS=${CLIPS:-20 50 100 240} SEEDS=${SEEDS:-0 1 2}
FOLDS=${FOLDS:-5} ACTION=${ACTION:-diving} CACHE=${CACHE:-}
RUNS=${RUNS:-runs/learning-curve} OUT=${OUT:-report}
read -ra further <<< "${TRAIN:-}"
cache=(${CACHE:+--cache "$CACHE"})

runs=()
for start in scratch new-head own-head; do
    base=(--base "$BASE" ${STORE:+--store "$STORE"})
    case $start in
        scratch) words=(--readout --epochs 0) ;;
        new-head) words=("${base[@]}" --new-head --readout --epochs 0) ;;
        own-head) words=("${base[@]}") ;;
    esac
    for clips in $CLIPS; do
        for seed in $SEEDS; do
            out="$RUNS/$start-$clips-$seed"
            python -m training train --action "$ACTION" --data "$data" --out "$out" \
                --folds "$FOLDS" --clips "$clips" --seed "$seed" --head-variants 2 \
                "${cache[@]}" "${words[@]}" "${further[@]}"
            runs+=(--run "$out")
        done
    done
done
python -m training report "${runs[@]}" "${cache[@]}" --out "$OUT" ${NOTE:+--note "$NOTE"}
