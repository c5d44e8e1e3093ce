"""A run from its options to its line in the results: clips, training, what is remembered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from model_store.checkpoint import Checkpoint
from training.display import bar
from training.distributed import Processes
from training.material import open_material
from training.results_table import enter
from training.run_folder import RunFolder
from training.runspec import RunSpec
from training.summary import remember, remember_command, summarise
from training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Session:
    """What a process needs besides the options."""

    base: Checkpoint | None
    """That the run's options name."""
    cache: Path | None
    save_every: float
    processes: Processes

    def train(self, run: RunSpec, out: Path) -> dict[str, Any]:
        """Train, or go on with it, in the folder `out`; the figures of the best validation."""
        folder, leads = RunFolder(out), self.processes.leads
        with self.processes.leader_first():
            folder.open(run.to_json())
            with bar("clips", hidden=not leads) as shown:
                material = open_material(
                    run.data,
                    run.clip,
                    kind=run.kind,
                    target=run.network.target,
                    validation=run.validation,
                    fold=run.part,
                    seed=run.seed,
                    cache=self.cache,
                    progress=lambda done, total: shown.update(done, total, phase="decoding"),
                )
            if leads:
                remember_command(folder)
                remember(folder, summarise(material, run.data, folder))
        trainer = Trainer(
            run,
            material,
            folder,
            base=self.base,
            save_every=self.save_every,
            processes=self.processes,
        )
        with bar("steps", hidden=not leads) as shown:
            best = trainer.train(shown) | {"waiting": trainer.position.waiting}
        if leads:
            clips = {"train": len(material.training), "validation": len(material.validation)}
            enter(out, _line(run, clips, best))
        return best


def told(best: Sequence[dict[str, Any]]) -> str:
    """What the terminal says of one run, or of those of a cross-validation."""
    waiting = np.mean([each["waiting"] for each in best])
    rest = f"; {waiting:.1%} of the steps' time was spent waiting for data"
    ranked = [each["spearman"] for each in best]
    distances = [each["mean_distance"] for each in best]
    if len(best) == 1:
        return (
            f"best validation: Spearman {ranked[0]:.4f}, mean distance {distances[0]:.3f}"
            f" points{rest}"
        )
    return (
        f"{len(best)} folds: Spearman {np.mean(ranked):.4f} ± {np.std(ranked, ddof=1):.4f}, mean"
        f" distance {np.mean(distances):.3f} ± {np.std(distances, ddof=1):.3f} points{rest}"
    )


def _line(run: RunSpec, clips: dict[str, int], best: dict[str, Any]) -> dict[str, object]:
    """Of the results table."""
    used = "all" if run.network.fragments_used is None else " ".join(map(str, run.fragments))
    return {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "action": run.clip.action,
        "data": " ".join(run.data),
        "loss": run.terms,
        "alpha": run.alpha,
        "fragments": used,
        "seed": run.seed,
        "fold": "" if run.fold is None else f"{run.fold} of {run.folds}",
        **clips,
        **{name: best[name] for name in ("phase", "epoch", "step", "spearman", "mean_distance")},
        "distance_share": best.get("distance_share", ""),
        "hours": best["hours"],
        "waiting": best["waiting"],
    }
