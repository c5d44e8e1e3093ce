#!/usr/bin/env bash
# Version 4 of the shipped diving checkpoint, the last one that has not seen a real dive, in today's format.
# It is taken out of the history of this repository; the weights stay as they are. Its card had no
# field for how far scores of badly stored clips move, and has figures that are no longer kept.
# Run from the repository's root, with .venv activated.
#
#   bash training/runs/diving-4.sh STORE      the folder that becomes its store
set -euo pipefail
store=${1:?folder for the store}
mkdir -p "$store/diving"
git archive ca86d09^:model_store/checkpoints/diving 4 | tar -x -C "$store/diving"
echo 4 > "$store/diving/current"
python - "$store/diving/4" << 'END'
import hashlib, json, sys
from pathlib import Path

folder = Path(sys.argv[1])
card = json.loads((folder / "card.json").read_text())
card |= {"metrics": {}, "moved_by": {}}
(folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
manifest = folder / "MANIFEST.sha256"
names = [line.split()[1] for line in manifest.read_text().splitlines()]
lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
manifest.write_text("".join(lines))
END
python -m model_store verify diving@4 --store "$store"
