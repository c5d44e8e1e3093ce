#!/usr/bin/env bash
# What fine-tuning on few clips is worth: scores as the base's, of another level, of another sport's range.
# Run from the repository's root, with .venv activated. Every step goes on where it was killed.
#
#   bash training/runs/fine-tuning.sh
#
# Options, from the environment:
#
#   BASE     diving: the checkpoint to go on from
#   CLIPS    how many training clips, "40 120 300"
#   SCALES   factor and points added to the scores, "1:0 0.55:0 0.1:7"
#   DATA     a data set folder with as many training clips; simulated where it is missing
#   OUT      folder for runs and figures
set -euo pipefail
BASE=${BASE:-diving} CLIPS=${CLIPS:-40 120 300} SCALES=${SCALES:-1:0 0.55:0 0.1:7}
DATA=${DATA:-data/fine-tuning} OUT=${OUT:-runs/fine-tuning}

[[ -e $DATA/annotations.csv ]] ||
    python -m training simulate --action diving --clips 620 --seed 7700 --test-share 0.5 --out "$DATA"
mkdir -p "$OUT"
python -m training publish --source model_store/checkpoints --name "$BASE" --store "$OUT/store"

for clips in $CLIPS; do
    for scale in $SCALES; do
        name="$clips-${scale/:/-}"
        python - "$DATA" "$OUT/$name/data" "$clips" "${scale%:*}" "${scale#*:}" <<'PYTHON'
import csv, sys
from pathlib import Path
source, folder, clips, factor, extra = *map(Path, sys.argv[1:3]), int(sys.argv[3]), *map(float, sys.argv[4:])
with (source / "annotations.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
train = [row for row in rows if row["split"] == "train"][:clips]
test = [row for row in rows if row["split"] == "test"]
folder.mkdir(parents=True, exist_ok=True)
if not (folder / "clips").exists():
    (folder / "clips").symlink_to((source / "clips").resolve())
with (folder / "annotations.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, ("clip", "split", "score"), extrasaction="ignore")
    writer.writeheader()
    for row in (*train, *test):
        writer.writerow(row | {"score": f"{float(row['score']) * factor + extra:.3f}"})
PYTHON
        python -m training train --target final --data "$OUT/$name/data" --out "$OUT/$name/run" --cache "$OUT/cache" \
            --base "$BASE" --store "$OUT/store" --folds 5
        python -m training publish --run "$OUT/$name/run" --name "tuned-${name//./-}" --store "$OUT/store"
        for checkpoint in "$BASE" "tuned-${name//./-}"; do
            python -m training evaluate --checkpoint "$checkpoint" --store "$OUT/store" \
                --data "$OUT/$name/data" --json "$OUT/$name/$checkpoint.json"
        done
    done
done

python - "$OUT" "$BASE" <<'PYTHON'
import json, sys
from pathlib import Path
from statistics import mean
out, base = Path(sys.argv[1]), sys.argv[2]
print("| clips, scores × factor + points | base, ridge, tuned: mean over folds | base, tuned: test Spearman |"
      " base, tuned: distance share | coverage, width share |")
print("|---|---|---|---|---|")
for run in sorted(out.glob("*/run"), key=lambda path: float(path.parent.name.split("-")[0])):
    folds = [json.loads(path.read_text()) for path in sorted(run.glob("fold-*/figures.json"))]
    points = [mean(fold["starting_points"][name]["spearman"] for fold in folds) for name in ("base", "ridge", "readout")]
    found = {path.stem: json.loads(path.read_text()) for path in run.parent.glob("*.json")}
    before, after = found.pop(base), next(iter(found.values()))
    clips, factor, extra = run.parent.name.split("-")
    print(f"| {clips}, × {factor} + {extra} | {', '.join(f'{value:.3f}' for value in points)}"
          f" | {before['spearman']:.3f}, {after['spearman']:.3f}"
          f" | {before['distance_share']:.2f}, {after['distance_share']:.2f}"
          f" | {after['coverage']:.3f}, {after['width_share']:.2f} |")
PYTHON
