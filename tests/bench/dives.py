"""Distinct clips for the servers and the training step: simulated dives, as the demo makes them."""

from pathlib import Path

from training.simulator.dataset import write_dataset

CLIPS = 32
SEED = 9100


def dives_folder(folder: Path) -> Path:
    """A data set folder of simulated dives, 320×240 and 151 frames; all are for training."""
    place = folder / "dives"
    if not (place / "annotations.csv").exists():
        write_dataset("diving", CLIPS, SEED, place, test_share=0.0)
    return place


def dives(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((dives_folder(folder) / "clips").glob("*.mp4"))]
