"""How each kind of data set is read, by the name that `--kind` has for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.choices import Kind
from training.data.datasets import aqa7
from training.data.datasets.annotations import (
    JudgedClip,
    Split,
    of_action,
    of_split,
    read_annotations,
)
from training.data.datasets.archive import read_archive
from training.data.datasets.finediving import read_finediving
from training.data.datasets.mit_skate import read_mit_skate
from training.data.datasets.mtl_aqa import read_mtl_aqa
from training.data.datasets.unlv import read_unlv_dive, read_unlv_vault
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class DataSet:
    """How a kind is read, and what its authors state about it."""

    read: Callable[[Path], list[JudgedClip]]
    train: int | None = None
    """Clips of the official split; None where they are not known."""
    test: int | None = None


DATA_SETS: dict[Kind, DataSet] = {
    Kind.annotations: DataSet(read_annotations),
    Kind.unlv_dive: DataSet(read_unlv_dive, 300, 70),
    Kind.unlv_vault: DataSet(read_unlv_vault, 120, 56),
    Kind.mit_skate: DataSet(read_mit_skate, 100, 71),
    Kind.aqa7_diving: DataSet(aqa7.reader("diving"), 300, 70),
    Kind.aqa7_vault: DataSet(aqa7.reader("gym_vault"), 120, 56),
    Kind.aqa7_ski: DataSet(aqa7.reader("ski_big_air")),
    Kind.aqa7_snowboard: DataSet(aqa7.reader("snowboard_big_air")),
    Kind.aqa7_sync_3m: DataSet(aqa7.reader("sync_diving_3m")),
    Kind.aqa7_sync_10m: DataSet(aqa7.reader("sync_diving_10m")),
    Kind.mtl_aqa: DataSet(read_mtl_aqa, 1059, 353),
    Kind.finediving: DataSet(read_finediving, 2251, 749),
    Kind.archive: DataSet(read_archive),
}


def read_clips(
    kind: str, folder: Path, split: Split | None = None, *, action: str | None = None
) -> list[JudgedClip]:
    """The judged clips of one split, or all; where there are several actions, of this one.

    Raises DataError.
    """
    if kind == Kind.ucf101:
        raise DataError("ucf-101 has classes and no scores: it is for pretrain")
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder, need one of the kind {kind}")
    clips = of_action(DATA_SETS[Kind(kind)].read(folder), action, folder)
    return of_split(clips, split, folder)
