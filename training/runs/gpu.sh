#!/usr/bin/env bash
# All that a quarter of an hour is enough for on a borrowed machine with an NVIDIA GPU: one that has PyTorch, a
# dozen CPU cores, and no network. Run from the repository's root. Every part ends within its time, prints a
# short table last, and writes what it has found as it goes, so that being cut off costs only the rest.
#
# On a machine with a network, before:
#
#   bash training/runs/gpu.sh pack                    Python packages that the other one lacks, into $PACKED
#   bash training/runs/gpu.sh pack-data FOLDER        small copies of judged dives, into $PACKED/dives
#
# On the machine with the GPU, to which the repository and $PACKED were carried; FOLDER (default $WORK/WHAT)
# gets at most 8 small files:
#
#   bash training/runs/gpu.sh check [--out FOLDER]    tests of the GPU, agreement with float32, a service
#   bash training/runs/gpu.sh bench [--out FOLDER]    what tests/bench/GPU.md is made of
#   bash training/runs/gpu.sh train [--out FOLDER]    the paper's network on the dives; the shipped extractor on
#                                                     10,000 simulated dives of 112×112, which CPUs render while
#                                                     the GPU learns; the dives again with it, by folds; the
#                                                     same for vaults
#
# `train` goes on where it was cut off: with what is in $WORK, or else with the extractors in FOLDER.
#
# Options, from the environment:
#
#   PACKED    packed: what was carried there
#   WORK      runs/gpu: clips, runs, and everything else that is large
#   CACHE     decoded clips; by default in memory where there is room, else below WORK
#   LIMIT     seconds that the part may take: 150 (check), 220 (bench), 400 (train), which with the start of the
#             machine are a quarter of an hour
#   CLIPS     2000: simulated clips a round
#   ROUNDS    5: of pre-training, each on new clips
#   STEPS     2000: of pre-training, a round
#   WORKERS   processes that render; all cores but one
#   MISSING   what `pack` packs, by the names in pyproject.toml, with all that it needs, but for
#   PRESENT   what the machine has: a newer one there could break what needs the older
#   PYTHON    python3
#   TINY      1: a rehearsal on a CPU with tiny clips and networks, a few minutes; with what was packed
#             PYTHON must be a 3.12
set -euo pipefail
PACKED=${PACKED:-packed} WORK=${WORK:-runs/gpu} TINY=${TINY:-}
PYTHON=${PYTHON:-python3} WORKERS=${WORKERS:-$(($(nproc) > 1 ? $(nproc) - 1 : 1))}
PRESENT=${PRESENT:-annotated-doc anyio click h11 idna}
MISSING=${MISSING:-av cachetools fastapi pydantic pydantic-settings python-multipart starlette uvicorn}
if [[ -n $TINY ]]; then
    CLIPS=${CLIPS:-4} ROUNDS=${ROUNDS:-2} STEPS=${STEPS:-3} engine=torch
else
    CLIPS=${CLIPS:-2000} ROUNDS=${ROUNDS:-5} STEPS=${STEPS:-2000} engine=cuda
fi
CARRIED=64  # MiB that may be carried to the machine

mebibytes() { awk '{printf "%.1f", $1 / 1048576}'; }

pack() {
    local site=$PACKED/site
    mkdir -p "$PACKED"
    rm -rf "$site"
    "$PYTHON" - $MISSING > "$PACKED/wanted.txt" <<'END'
import re, sys, tomllib
for each in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]:
    if re.match(r"[\w-]+", each)[0] in sys.argv[1:]:
        print(each)
END
    "$PYTHON" -m pip install --quiet --target "$site" --no-compile --only-binary=:all: \
        --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --requirement "$PACKED/wanted.txt"
    "$PYTHON" - "$site" "$PACKED/packages.tar.xz" $PRESENT <<'END'
import io, sys, tarfile, tomllib
from importlib.metadata import distributions
from pathlib import Path
site, archive, *present = sys.argv[1:]
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
with tarfile.open(archive, "w:xz") as file:
    # The service asks for its own version, which an installation would tell.
    version = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n".encode()
    entry = tarfile.TarInfo(f"{project['name'].replace('-', '_')}-{project['version']}.dist-info/METADATA")
    entry.size = len(version)
    file.addfile(entry, io.BytesIO(version))
    for found in distributions(path=[site]):
        if found.name.lower().replace("_", "-") not in present:
            print(found.name, found.version)
            for name in found.files or ():
                if (path := Path(site, name)).is_file() and path.is_relative_to(site):
                    file.add(path, name)
END
    rm -rf "$site" "$PACKED/wanted.txt"
    sizes
}

sizes() {
    local tree packed
    tree=$(git ls-files -z | xargs -0 stat --format %s | awk '{n += $1} END {print n}')
    packed=$(find "$PACKED" -type f -printf '%s\n' | awk '{n += $1} END {print n + 0}')
    echo "tracked files $(mebibytes <<< "$tree") MiB, $PACKED $(mebibytes <<< "$packed") MiB," \
        "together $(mebibytes <<< $((tree + packed))) MiB of $CARRIED"
    (((tree + packed) <= CARRIED << 20)) || { echo "that is too much" >&2; return 1; }
}

# The machine with the GPU from here on.

prepare() {  # sets UNTIL, in the shell's SECONDS, and opens the files of this part
    UNTIL=$((SECONDS + LIMIT))
    OUT=${OUT:-$WORK/$what}
    mkdir -p "$OUT" "$WORK"
    export COLUMNS=200 PYTHONPATH=$PWD PYTHONUNBUFFERED=1 PACKED WORK CLIPS ROUNDS WORKERS PYTHON TINY
    if [[ -f $PACKED/packages.tar.xz ]]; then
        [[ -d $WORK/site ]] || "$PYTHON" -m tarfile -e "$PACKED/packages.tar.xz" "$WORK/site"
        PYTHONPATH=$(realpath "$WORK/site"):$PWD
    fi
    if [[ -z ${CACHE:-} ]]; then
        CACHE=$WORK/cache
        local free
        free=$(df --output=avail /dev/shm 2> /dev/null | tail -1) || free=0
        [[ -n $TINY ]] || ((${free:-0} < 48 << 20)) || CACHE=/dev/shm/fragment-scorer
    fi
    table=$OUT/$what.md
    log=$OUT/log.txt
    {
        echo "# gpu.sh $what"
        echo
        echo "$(date +%F), $(nvidia-smi --query-gpu=name --format=csv,noheader 2> /dev/null || echo a CPU)," \
            "torch $("$PYTHON" -c 'from importlib.metadata import version; print(version("torch"))')."
        printf '\n| step | seconds | result |\n|---|---|---|\n'
    } > "$table"
}

step() {  # seconds at most, name, command: a line of the table, also if it fails or has no time
    local limit=$1 name=$2 began=$SECONDS result="done" code=0
    shift 2
    ((limit < UNTIL - SECONDS)) || limit=$((UNTIL - SECONDS))
    if ((limit < 1)); then
        echo "| $name | 0 | no time left |" >> "$table"
        return 1
    fi
    printf '\n== %s: %s\n' "$name" "$*" >> "$log"
    timeout --signal=INT --kill-after=10 "$limit" "$@" >> "$log" 2>&1 || code=$?
    case $code in
        0) ;;
        124 | 137) result="cut off" ;;
        *) result="exit code $code" ;;
    esac
    echo "| $name | $((SECONDS - began)) | $result |" >> "$table"
    return "$code"
}

finish() {  # pattern of lines of the log to show below the table
    local code=$?
    if [[ -n ${1:-} ]]; then
        printf '\n```text\n' >> "$table"
        grep -aE "$1" "$log" | cut -c1-200 | tail -40 >> "$table" || true
        printf '```\n' >> "$table"
    fi
    cat "$table"
    return "$code"
}

check() {
    prepare
    local files wrong=0
    mapfile -t files < <(grep -rlE 'mark\.cuda|ON_A_GPU|DEVICES' tests --include='test_*.py' | sort)
    [[ -n $TINY ]] || export FAIL_WITHOUT_CUDA=1
    # With the warnings of a machine that nobody has seen.
    step $((LIMIT * 2 / 3)) "tests marked cuda" "$PYTHON" -m pytest -q -m cuda -W default --durations 8 \
        -p no:cacheprovider "${files[@]}" || wrong=1
    step $((LIMIT / 2)) "agreement with float32, a service" "$PYTHON" -m tests.bench.gpu_check --engine "$engine" \
        --clips "$PACKED/dives/clips" || wrong=1
    finish ' (passed|failed|skipped|error)|^(diving|vault|service)'
    return $wrong
}

bench() {
    prepare
    local rehearse=() tiny=() wrong=0
    [[ -z $TINY ]] || rehearse=(--rehearse) tiny=(--device cpu --tiny)
    step $((LIMIT / 3)) "service" "$PYTHON" -m tests.bench.gpu_service --engine "$engine" "${rehearse[@]}" \
        --page "$OUT/service.md" || wrong=1
    step "$LIMIT" "engine, training" "$PYTHON" -m tests.bench.gpu "${tiny[@]}" --page "$OUT/GPU.md" ||
        true  # the page says which targets are missed
    finish
    cat "$OUT/service.md" "$OUT/GPU.md" 2> /dev/null || true
    return $wrong
}

simulate() {  # action, clips, seed, folder: the same clips whenever it is called
    nice "$PYTHON" -m training simulate --action "$1" --clips "$2" --seed "$3" --test-share 0 \
        --workers "$WORKERS" --out "$4"
}

render() {  # action, first round: the clips of all rounds, one after the other
    local round
    for ((round = $2; round < ROUNDS; round++)); do
        [[ -e $WORK/$1-$round/annotations.csv ]] ||
            simulate "$1" "$CLIPS" "$((seeds[$1] + round))" "$WORK/$1-$round"
    done
}

declare -A seeds=([diving]=9400 [vault]=9500)

next_round() { awk -v action="$1" '$1 == action {n = $2} END {print n + 0}' "$OUT/rounds.txt"; }

learn() {  # action, seconds to leave: an extractor, while the clips of the next round are rendered
    local action=$1 reserve=$2 round
    left() { echo $((UNTIL - SECONDS - reserve)); }
    for ((round = $(next_round "$action"); round < ROUNDS; round++)); do
        # One that is cut off soon would leave an extractor at its highest rate.
        (($(left) >= LIMIT / 4)) || { step 0 "$action: round $round" || return 0; }
        step "$(left)" "$action: clips of round $round" bash -c \
            'until [[ -e $1 ]]; do kill -0 "$2" || { [[ -e $1 ]]; exit; }; sleep 1; done' - \
            "$WORK/$action-$round/annotations.csv" "$renderer" || return 0
        [[ -e $OUT/$action.safetensors ]] || step 60 "$action: the shipped extractor" "$PYTHON" -m \
            training.runs.mean_extractor model_store/checkpoints "$action" "$OUT/$action.safetensors" || return 0
        # If it is cut off the extractor is that of its last state, and the round counts as made.
        step "$(left)" "$action: pre-training, round $round" "$PYTHON" -m training pretrain \
            --action "$action" --data "$WORK/$action-$round" "${picture[@]}" \
            --extractor "$OUT/$action.safetensors" --steps "$STEPS" --batch "$BATCH" --save-every 15 \
            --cache "$CACHE/$action-$round" --out "$WORK/$action-pre-$round" || true
        rm -rf "${CACHE:?}/$action-$round"
        [[ -e $WORK/$action-pre-$round/extractor.safetensors ]] || return 0
        cp "$WORK/$action-pre-$round/extractor.safetensors" "$OUT/$action.safetensors"
        echo "$action $((round + 1))" >> "$OUT/rounds.txt"
    done
}

keep_dives() {  # run by folds: what is carried home of it, its figures, and a checkpoint to look at
    local run=$1 store=$1-store
    [[ -e $run/cross_validation.json ]] || return 0
    cp "$run/cross_validation.json" "$OUT/dives.json"
    [[ -e $store/diving/current ]] || step $((LIMIT / 9)) "dives: publishing" "$PYTHON" -m training publish \
        --run "$run" --name diving --store "$store" --about "the dives packed, and simulated ones" \
        --licence "that of the dives: for research and evaluation" || return 0
    step $((LIMIT / 18)) "dives: exporting" "$PYTHON" -m model_store export diving --store "$store" \
        --out "$OUT/diving.tar.gz" || true
}

train() {
    local dives=$PACKED/dives logged paper folds run
    prepare
    touch "$OUT/rounds.txt"
    export GPU_EPOCHS=$OUT/epochs.csv
    logged=(--logger training.runs.epoch_table:EpochTable)
    picture=(--resize 128x171 --crop 112x112 --pad start) BATCH=128
    paper=(--preset paper --folds 5 --fold 0) folds=(--folds 5 --views 4 --head-variants 8)
    if [[ -n $TINY ]]; then
        picture=(--resize 32x32 --crop 32x32 --pad start) BATCH=4
        paper=(--preset paper "${picture[@]}" --width 0.03125 --epochs 2 --folds 2 --fold 0)
        folds=(--folds 2 --views 2 --head-variants 2)
        dives=$WORK/dives
        [[ -e $dives/annotations.csv ]] || ((SECONDS >= UNTIL)) || simulate diving 24 1 "$dives" >> "$log" 2>&1
    fi
    setsid bash "$0" render "$(next_round diving)" "$(next_round vault)" > "$WORK/render.log" 2>&1 &
    renderer=$!  # global, for the trap
    tell_renderer() { kill "-$1" -- "-$renderer" 2> /dev/null || true; }
    trap 'tell_renderer TERM; tell_renderer CONT' EXIT

    # A state of it has 4.6 GB, and takes longer to write than it would save.
    [[ ! -e $dives/annotations.csv ]] || step $((LIMIT / 6)) "dives: the paper's network" \
        "$PYTHON" -m training train --action diving --data "$dives" --cache "$CACHE/dives" "${paper[@]}" \
        "${logged[@]}" --save-every 600 --out "$WORK/paper" || true
    learn diving $((LIMIT * 2 / 5))
    if [[ -e $dives/annotations.csv && -e $OUT/diving.safetensors ]]; then
        run=$WORK/folds-$(next_round diving)  # each extractor has one
        tell_renderer STOP  # the fit needs the cores
        # Without simulated dives to rehearse: with them the line takes minutes a fold to fit.
        step $((LIMIT * 2 / 5)) "dives: a line on that extractor's features, by folds" "$PYTHON" -m training train \
            --action diving --data "$dives" --extractor "$OUT/diving.safetensors" "${picture[@]}" \
            --readout --epochs 0 --low-frame-rate 1 --steadiness 8 "${folds[@]}" "${logged[@]}" --cache "$CACHE/dives" --out "$run" || true
        keep_dives "$run"
        tell_renderer CONT
    fi
    learn vault 0
    finish '^step [0-9]+: R²|folds, every clip|^(all|head|readout).*spearman'
    column -s, -t "$GPU_EPOCHS" 2> /dev/null | tail -20 || true
}

what=${1:?pack, pack-data, check, bench or train}
shift
declare -A limits=([check]=150 [bench]=220 [train]=400)
LIMIT=${LIMIT:-${limits[$what]:-0}}
case $what in
    pack) pack ;;
    pack-data)
        "$PYTHON" -m training.runs.small_copies "${1:?folder of judged dives}" "$PACKED/dives"
        sizes ;;
    sizes) sizes ;;
    render) render diving "$1"; render vault "$2" ;;
    check | bench | train)
        [[ ${1:-} != --out ]] || OUT=${2:?a folder after --out}
        "$what" ;;
    *) echo "pack, pack-data, check, bench or train, not $what" >&2; exit 2 ;;
esac
