"""
FineDiving as it is published: dives as folders of frames.   [Xu22]

    Annotations/FineDiving_coarse_annotation.pkl   {(event, dive): {dive_score, difficulty,
                                                   judge_scores, …}}, or
    Annotations/fine-grained_annotation_aqa.pkl    {(event, dive): [action, dive_score, difficulty,
                                                   …]}
    train_split.pkl, test_split.pkl                lists of (event, dive), in `Annotations/`,
                                                   `train_test_split/` or the folder itself
    FINADiving_MTL_256s/EVENT/DIVE/NNNNN.jpg       the frames, 25 a second

An event is a group: the rounds of one, as FINAWorldChampionships2019_Women10m_final_r1 is, have
the same divers. Its authors ask for a signed agreement; this reads the copy that a user has.

[Xu22] J. Xu et al. FineDiving: A Fine-Grained Dataset for Procedure-Aware Action Quality
Assessment. CVPR 2022.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from training.data.datasets.annotations import JudgedClip
from training.data.datasets.media import find_media, first_of
from training.data.datasets.pickles import read_pickle, read_split
from training.data.datasets.points import marks, points, positive_number
from training.errors import DataError

FPS = Fraction(25)
NAMES = (
    "FineDiving_coarse_annotation.pkl",
    "fine-grained_annotation_aqa.pkl",
    "FineDiving_fine-grained_annotation.pkl",
)
ANNOTATIONS = tuple(f"{place}{name}" for name in NAMES for place in ("Annotations/", ""))
SPLITS = ("Annotations/train_split.pkl", "train_test_split/train_split.pkl", "train_split.pkl")
FRAMES = ("FINADiving_MTL_256s", "Trimmed_Video_Frames/FINADiving_MTL_256s", "FineDiving")


def read_finediving(folder: Path) -> list[JudgedClip]:
    path = first_of(folder, ANNOTATIONS, "the annotations")
    annotations = read_pickle(path, arrays=True)
    if not isinstance(annotations, dict) or not annotations:
        raise DataError(f"{path} holds a {type(annotations).__name__}, need {{(event, dive): …}}")
    splits = first_of(folder, SPLITS, "the split").parent
    frames = first_of(folder, FRAMES, "the frames")
    clips = []
    for key, split in read_split(splits, "_split.pkl").items():
        where = f"{path}, {key}"
        if key not in annotations:
            raise DataError(f"{where}: is missing")
        row = _fields(annotations[key], where)
        score = points(row["dive_score"], "dive_score", where)
        difficulty = positive_number(row["difficulty"], "difficulty", where)
        event, dive = map(str, key)
        media = find_media(frames / event / dive, FPS)
        clips.append(
            JudgedClip(
                path=media.path,
                frames=media.frames,
                split=split,
                score=score,
                difficulty=difficulty,
                execution=score / difficulty,
                columns={"clip": f"{event}/{dive}"},
                group=re.sub(r"_r\d+$", "", event),
                marks=marks(row.get("judge_scores"), where),
            )
        )
    return clips


def _fields(row: Any, where: str) -> dict[str, Any]:
    """An annotation by name; lists have the score and the difficulty second and third."""
    if isinstance(row, (list, tuple)) and len(row) >= 3:
        row = {"dive_score": row[1], "difficulty": row[2]}
    if not isinstance(row, dict) or not {"dive_score", "difficulty"} <= row.keys():
        raise DataError(f"{where}: need dive_score and difficulty")
    return row
