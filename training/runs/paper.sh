#!/usr/bin/env bash
# The tables and figures of [Li18] §5, for dives, vaults and skating. Run from the repository's root, with
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
#   DIVING, VAULT, SKATING   data set folders, simulated where they are missing; DIVING= leaves dives out
#   DIVING_KIND, VAULT_KIND, SKATING_KIND   their layout, as --kind has it (mit-skate); else annotations
#   CLIPS           how many to simulate of each, 30 % of them for testing
#   PRESET          compact: small, for a CPU, heads on frozen extractors; TRAIN="--epochs 8" goes on
#                   end to end. paper: the paper's network and size, for a GPU. paper-literal: [Li18] §4.2
#                   to the letter, which ends in an error that it cannot learn
#   EXTRACTOR       extractor.safetensors that all runs start from. Without it compact starts from
#                   the extractors of the shipped checkpoints, paper from random weights. No checkpoint for
#                   skating is shipped: compact first teaches an extractor on further simulated programmes,
#                   a fifth of CLIPS
#   PRETRAIN        options for that `pretrain`; else "--steps 300 --batch 16"
#   C3D             extractor.safetensors of `import-c3d` with fc6, for c3d-lstm and c3d-svr at the paper's
#                   size of the picture; without it these are left out
#   CONV_ISA        options for `baseline --method conv-isa`, as "--samples 5000"
#   BASE            the checkpoint whose extractors compact takes, in place of the shipped one of that
#                   name: one that has not seen the clips, as diving@4 (SCORING_STORE is its store)
#   TRAIN           further options for every `train`, as "--epochs 20 --target both"
#   FROM_ZERO       yes: Table 1 also has networks that the ranking loss alone trains from 0 on. Their
#                   scores are in no unit, as the paper's are, whose MED for dives is 75.62
#   FOLDS           5: all of it by cross-validation, for data that has no split for tests
#   SEEDS           "0 1 2": every run once with each; the report has their mean
#   CACHE           folder for decoded clips, where the data set's own cannot be written to
#   POSES           folder with diving/, vault/ and skating/, COCO-17 JSON for pose-dct; without it pose-dct
#                   is left out, but for simulated clips, which have tracks
#   RUNS, OUT       folders for the runs and for the report
#   MORE            further runs of the same data for the report, as "runs/learning-curve/*-*"
#   NOTE            what readers of the report must know first
set -euo pipefail
DIVING=${DIVING-data/simulated-diving} VAULT=${VAULT-data/simulated-vault}
SKATING=${SKATING-data/simulated-skating} PRETRAIN=${PRETRAIN:-} FROM_ZERO=${FROM_ZERO:-}
CLIPS=${CLIPS:-200} PRESET=${PRESET:-compact} EXTRACTOR=${EXTRACTOR:-}
C3D=${C3D:-} POSES=${POSES:-} FOLDS=${FOLDS:-} SEEDS=${SEEDS:-0} CACHE=${CACHE:-}
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
read -ra conv_isa <<< "${CONV_ISA:-}"
read -ra pretraining <<< "${PRETRAIN:---steps 300 --batch 16}"
declare -A fragments=([diving]=9 [vault]=6 [skating]=9) seeds=([diving]=4000 [vault]=5000 [skating]=6000)
declare -A folder=([diving]=$DIVING [vault]=$VAULT [skating]=$SKATING)
declare -A kind=([diving]=${DIVING_KIND:-annotations} [vault]=${VAULT_KIND:-annotations}
    [skating]=${SKATING_KIND:-annotations})
# What all runs of an action start from: an extractor, or the checkpoint whose extractors they take.
declare -A extractor=([diving]=$EXTRACTOR [vault]=$EXTRACTOR [skating]=$EXTRACTOR)
declare -A base=([diving]="" [vault]="" [skating]="")
if [[ $PRESET == compact && -z $EXTRACTOR ]]; then
    base=([diving]=${BASE:-diving} [vault]=${BASE:-vault} [skating]="")
    extractor[skating]=$RUNS/skating-extractor/extractor.safetensors
fi

simulate() {  # action
    [[ ${kind[$1]} != annotations || -e ${folder[$1]}/annotations.csv ]] && return
    python -m training simulate --action "$1" --clips "$CLIPS" --seed "${seeds[$1]}" \
        --test-share 0.3 --out "${folder[$1]}"
}

teach() {  # action: an extractor, on simulated clips that measure nothing
    [[ -z ${extractor[$1]} || -n $EXTRACTOR || -e ${extractor[$1]} ]] && return
    local clips=$((CLIPS < 20 ? 4 : CLIPS / 5)) out=$RUNS/$1-extractor
    python -m training simulate --action "$1" --clips "$clips" --seed $((seeds[$1] + 1)) \
        --test-share 0 --out "$RUNS/$1-clips"
    python -m training pretrain --preset "$PRESET" --action "$1" --data "$RUNS/$1-clips" \
        --out "$out" "${pretraining[@]}"
}

runs=()
train() {  # action, fragments, loss, further options
    local seed
    for seed in $SEEDS; do train_once "$seed" "$@"; done
}

train_once() {  # seed, action, fragments, loss, further options
    local seed=$1 action=$2 used=$3 loss=$4
    local out="$RUNS/$action-$used-$loss" words=(--fragments "$used" --loss "$loss" --seed "$seed")
    words+=(--target final "${@:5}")
    [[ ${*:5} != *--from-zero* ]] || out+=-from-zero
    [[ $seed == 0 ]] || out+="-seed-$seed"
    [[ -z ${extractor[$action]} ]] || words+=(--extractor "${extractor[$action]}")
    [[ -z ${base[$action]} ]] || words+=(--base "${base[$action]}" --new-head)
    [[ $used == all ]] || words+=(--blanking 0)
    python -m training train --preset "$PRESET" --action "$action" --data "${folder[$action]}" \
        --kind "${kind[$action]}" --out "$out" "${cache[@]}" "${options[@]}" "${words[@]}" \
        "${further[@]}"
    runs+=(--run "$out")
}

baselines=()
baseline() {  # action, method
    local json="$RUNS/$1-$2.json" words=(--preset "$PRESET" ${FOLDS:+--folds "$FOLDS"})
    case $2 in
        c3d-lstm | c3d-svr)
            [[ -n $C3D ]] || { leave_out "$@" C3D; return; }
            words+=(--preset paper --extractor "$C3D") ;;
        c3d-pool5-*)
            if [[ -n ${extractor[$1]} ]]; then
                words+=(--extractor "${extractor[$1]}")
            elif [[ -n ${base[$1]} ]]; then
                words+=(--checkpoint "${base[$1]}")
            else
                leave_out "$@" EXTRACTOR; return
            fi ;;
        conv-isa) words+=("${conv_isa[@]}") ;;
        pose-dct)
            if [[ -n $POSES ]]; then
                words+=(--poses "$POSES/$1")
            elif [[ ${kind[$1]} != annotations || ! -d ${folder[$1]}/tracks ]]; then
                leave_out "$@" POSES; return
            fi ;;
    esac
    [[ -e $json ]] || python -m training baseline --method "$2" --action "$1" \
        --data "${folder[$1]}" --kind "${kind[$1]}" "${cache[@]}" "${words[@]}" --json "$json"
    baselines+=(--baseline "$json")
}

leave_out() {  # action, method, what it needs
    echo "left out: $2 of $1, for which $3 must be set" >&2
}

for action in diving vault skating; do
    [[ -n ${folder[$action]} ]] || continue
    simulate "$action"
    teach "$action"
    case $what in table-1 | table-2 | figure-5 | all)
        for loss in mse ranking both; do
            train "$action" last "$loss"
            train "$action" all "$loss"
        done ;;
    esac
    case $what,$FROM_ZERO in table-1,yes | all,yes)
        for used in last all; do train "$action" "$used" ranking --from-zero; done ;;
    esac
    case $what in figure-2 | all)
        for ((k = 0; k < fragments[$action] - 1; k++)); do train "$action" "$k" mse; done ;;
    esac
    case $what in figure-2) train "$action" last mse; train "$action" all mse ;; esac
    case $what in figure-3) train "$action" last both ;; esac
    case $what in table-2 | all)
        for method in pose-dct conv-isa c3d-lstm c3d-svr c3d-pool5-lstm c3d-pool5-svr; do
                baseline "$action" "$method"
            done ;;
    esac
done
for run in ${MORE:-}; do runs+=(--run "$run"); done
python -m training report "${runs[@]}" "${baselines[@]}" "${cache[@]}" --out "$OUT" \
    ${NOTE:+--note "$NOTE"}
