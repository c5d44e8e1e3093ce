"""
UCF-101 as it is published: videos of 101 kinds of action, for pre-training.   [Soomro12]

    ucfTrainTestlist/classInd.txt      "1 ApplyEyeMakeup"
    ucfTrainTestlist/trainlist01.txt   "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
    ucfTrainTestlist/testlist01.txt    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    ApplyEyeMakeup/v_….avi             the videos, in the folder or in `UCF-101/`

Classes count from 1 in the files and from 0 here. Clips of one group (g08) come from one video.

[Soomro12] K. Soomro, A. R. Zamir, M. Shah. UCF101: A Dataset of 101 Human Action Classes From
Videos in the Wild. CRCV-TR-12-01, 2012.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from training.data.datasets.annotations import Split
from training.data.datasets.lines import read_lines
from training.data.datasets.media import first_of
from training.errors import DataError

PUBLISHED: dict[Split, int] = {"train": 9537, "test": 3783}  # clips of the official split 1


@dataclass(frozen=True, slots=True)
class ClassifiedClip:
    path: Path
    split: Split
    label: int
    """0…classes − 1"""
    group: str
    """Class and number of the video that it was cut from."""


@dataclass(frozen=True, slots=True)
class ClassifiedClips:
    classes: tuple[str, ...]
    clips: list[ClassifiedClip]


def read_ucf101(folder: Path, split: Split | None = None) -> ClassifiedClips:
    """The official split 1.   Raises DataError."""
    lists = folder / "ucfTrainTestlist"
    classes = _classes(lists / "classInd.txt")
    labels = {name: label for label, name in enumerate(classes)}
    videos = first_of(folder, (f"UCF-101/{classes[0]}", classes[0]), "the videos").parent
    clips: dict[str, ClassifiedClip] = {}
    names: tuple[Split, ...] = ("train", "test")
    for part in names:
        path = lists / f"{part}list01.txt"
        for line, text in enumerate(read_lines(path), 1):
            where = f"{path}, line {line}"
            name, _, number = text.partition(" ")
            kind = name.partition("/")[0]
            if kind not in labels or (number and number.strip() != str(labels[kind] + 1)):
                raise DataError(f"{where}: {text!r} is of no class of classInd.txt")
            if name in clips:
                raise DataError(f"{where}: {name} again")
            if not (videos / name).is_file():
                raise DataError(f"{where}: {videos / name} is missing")
            group = re.search(r"_g\d+", name)
            clips[name] = ClassifiedClip(
                videos / name, part, labels[kind], kind + (group[0] if group else name)
            )
    return ClassifiedClips(classes, [c for c in clips.values() if split in (None, c.split)])


def _classes(path: Path) -> tuple[str, ...]:
    names = []
    for line, text in enumerate(read_lines(path), 1):
        number, _, name = text.partition(" ")
        if number != str(line) or not name.strip():
            raise DataError(f"{path}, line {line}: {text!r}, need '{line} NAME'")
        names.append(name.strip())
    return tuple(names)
