#!/usr/bin/env bash
# The tables and figures of [Li18] §5, for dives and vaults. Run from the repository's root, with
# .venv activated. Every step goes on where it was killed; what is there already is not made again.
#
#   bash training/runs/paper.sh table-1     three losses × SRC and MED
#   bash training/runs/paper.sh table-2     methods × data sets
#   bash training/runs/paper.sh figure-2    SRC by single fragment, trained by MSE as in §5.3
#   bash training/runs/paper.sh figure-3    frames of the last fragments (the paper's Fig. 3 and 4)
#   bash training/runs/paper.sh figure-5    predictions by judged score
#   bash training/runs/paper.sh all         all of it, in one report
#
# Options, from the environment:
#
#   DIVING, VAULT   data set folders, simulated where they are missing; DIVING= leaves dives out
#   DIVING_KIND, VAULT_KIND   their layout, as --kind has it; else annotations
#   CLIPS           how many to simulate of each, 30 % of them for testing
#   PRESET          compact: small, for a CPU, heads on frozen extractors; TRAIN="--epochs 8" goes on
#                   end to end. paper: the paper's network and size, for a GPU. paper-literal: [Li18] §4.2
#                   to the letter, which ends in an error that it cannot learn
#   EXTRACTOR       extractor.safetensors that all runs start from. Without it compact starts from
#                   the extractors of the shipped checkpoints, paper from random weights
#   BASE            the checkpoint whose extractors compact takes, in place of the shipped one of that
#                   name: one that has not seen the clips, as diving@4 (SCORING_STORE is its store)
#   TRAIN           further options for every `train`, as "--epochs 20 --target both"
#   FOLDS           5: by cross-validation, for data that has no split for tests. Baselines are left out
#   SEEDS           "0 1 2": every run once with each; the report has their mean
#   CACHE           folder for decoded clips, where the data set's own cannot be written to
#   POSES           folder with diving/ and vault/, COCO-17 JSON for pose-dct; else simulated clips
#                   have tracks, and of other layouts pose-dct is left out
#   RUNS, OUT       folders for the runs and for the report
#   MORE            further runs of the same data for the report, as "runs/learning-curve/*-*"
#   NOTE            what readers of the report must know first
set -euo pipefail
DIVING=${DIVING-data/simulated-diving} VAULT=${VAULT-data/simulated-vault}
CLIPS=${CLIPS:-200} PRESET=${PRESET:-compact} EXTRACTOR=${EXTRACTOR:-}
POSES=${POSES:-} FOLDS=${FOLDS:-} SEEDS=${SEEDS:-0} CACHE=${CACHE:-}
RUNS=${RUNS:-runs/paper} OUT=${OUT:-report}
what=${1:?table-1, table-2, figure-2, figure-3, figure-5 or all}

case $PRESET in
    compact)
        options=(--head-epochs 40 --head-variants 1 --head-rate 2e-3 --epochs 0 --batch 16)
        options+=(--frozen-norm --no-augment)
        [[ -n $FOLDS ]] || options+=(--validation 0.2) ;;
    paper | paper-literal) options=() ;;
    *) echo "PRESET is $PRESET, need compact, paper or paper-literal" >&2; exit 2 ;;
esac
[[ -z $FOLDS ]] || options+=(--folds "$FOLDS")
cache=(${CACHE:+--cache "$CACHE"})
read -ra further <<< "${TRAIN:-}"
declare -A fragments=([diving]=9 [vault]=6) folder=([diving]=$DIVING [vault]=$VAULT)
declare -A kind=([diving]=${DIVING_KIND:-annotations} [vault]=${VAULT_KIND:-annotations})

simulate() {  # action
    [[ ${kind[$1]} != annotations || -e ${folder[$1]}/annotations.csv ]] && return
    local seed; [[ $1 == diving ]] && seed=4000 || seed=5000
    python -m training simulate --action "$1" --clips "$CLIPS" --seed "$seed" --test-share 0.3 \
        --out "${folder[$1]}"
}

runs=()
train() {  # action, fragments, loss
    local seed
    for seed in $SEEDS; do train_once "$1" "$2" "$3" "$seed"; done
}

train_once() {  # action, fragments, loss, seed
    local out="$RUNS/$1-$2-$3" words=(--fragments "$2" --loss "$3" --target final --seed "$4")
    [[ $4 == 0 ]] || out+="-seed-$4"
    if [[ -n $EXTRACTOR ]]; then
        words+=(--extractor "$EXTRACTOR")
    elif [[ $PRESET == compact ]]; then
        words+=(--base "${BASE:-$1}" --new-head)
    fi
    [[ $2 == all ]] || words+=(--blanking 0)
    python -m training train --preset "$PRESET" --action "$1" --data "${folder[$1]}" \
        --kind "${kind[$1]}" --out "$out" "${cache[@]}" "${options[@]}" "${words[@]}" "${further[@]}"
    runs+=(--run "$out")
}

baselines=()
baseline() {  # action, method
    local json="$RUNS/$1-$2.json" words=(--preset "$PRESET")
    if [[ -n $FOLDS ]]; then
        echo "left out: $2 of $1, since baselines are measured on a split for tests alone" >&2
        return
    fi
    if [[ $2 == c3d-* ]]; then
        [[ -n $EXTRACTOR ]] && words+=(--extractor "$EXTRACTOR") || words+=(--checkpoint "$1")
    elif [[ -n $POSES ]]; then
        words+=(--poses "$POSES/$1")
    elif [[ ${kind[$1]} != annotations ]]; then
        echo "left out: $2 of $1, for which POSES must be set" >&2
        return
    fi
    [[ -e $json ]] || python -m training baseline --method "$2" --action "$1" \
        --data "${folder[$1]}" --kind "${kind[$1]}" "${words[@]}" --json "$json"
    baselines+=(--baseline "$json")
}

for action in diving vault; do
    [[ -n ${folder[$action]} ]] || continue
    simulate "$action"
    case $what in table-1 | table-2 | figure-5 | all)
        for loss in mse ranking both; do
            train "$action" last "$loss"
            train "$action" all "$loss"
        done ;;
    esac
    case $what in figure-2 | all)
        for ((k = 0; k < fragments[$action] - 1; k++)); do train "$action" "$k" mse; done ;;
    esac
    case $what in figure-2) train "$action" last mse; train "$action" all mse ;; esac
    case $what in figure-3) train "$action" last both ;; esac
    case $what in table-2 | all)
        for method in pose-dct c3d-pool5-lstm c3d-pool5-svr; do baseline "$action" "$method"; done ;;
    esac
done
for run in ${MORE:-}; do runs+=(--run "$run"); done
python -m training report "${runs[@]}" "${baselines[@]}" "${cache[@]}" --out "$OUT" \
    ${NOTE:+--note "$NOTE"}
