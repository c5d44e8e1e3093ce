"""
MTL-AQA as it is published: dives within the frames of whole broadcasts.   [Parmar19b]

    final_annotations_dict.pkl               {(video, dive): {final_score, difficulty, start_frame,
                                             end_frame, judge_scores where known, …}}
    train_split_0.pkl, test_split_0.pkl      lists of (video, dive)
    new_total_frames_256s/VV/NNNNNN.jpg      frame NNNNNN of video VV

The pickles may lie in `info/` or in `Ready_2_Use/MTL-AQA_split_0_data/`, the frames in `new/`,
`frames/` or the folder itself. The broadcasts have 25 frames a second. A broadcast is a group.

[Parmar19b] P. Parmar, B. T. Morris. What and How Well You Performed? CVPR 2019.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

from model_store.video.frame_files import FrameFiles
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.media import first_of, frame_paths
from training.data.datasets.pickles import read_pickle, read_split
from training.data.datasets.points import marks, points, positive_number, whole
from training.errors import DataError

FPS = Fraction(25)
ANNOTATIONS = (
    "final_annotations_dict.pkl",
    "info/final_annotations_dict.pkl",
    "info/final_annotations_dict_with_dive_number.pkl",
    "Ready_2_Use/MTL-AQA_split_0_data/final_annotations_dict.pkl",
)
FRAMES = ("new_total_frames_256s", "new/new_total_frames_256s", "new_total_frames", "frames")
NEEDED = ("final_score", "difficulty", "start_frame", "end_frame")


def read_mtl_aqa(folder: Path) -> list[JudgedClip]:
    path = first_of(folder, ANNOTATIONS, "the annotations")
    annotations = read_pickle(path)
    if not isinstance(annotations, dict) or not annotations:
        raise DataError(f"{path} holds a {type(annotations).__name__}, need {{(video, dive): …}}")
    frames = first_of(folder, FRAMES, "the frames")
    videos: dict[int, dict[int, Path]] = {}
    clips = []
    for key, split in read_split(path.parent, "_split_0.pkl").items():
        where = f"{path}, {key}"
        row = annotations.get(key)
        if not isinstance(row, dict):
            raise DataError(f"{where}: is missing")
        if missing := [name for name in NEEDED if name not in row]:
            raise DataError(f"{where}: lacks {missing}")
        video, dive = (whole(number, "video and dive", where) for number in key)
        place = frames / f"{video:02d}"
        if video not in videos:
            videos[video] = frame_paths(place)
        score = points(row["final_score"], "final_score", where)
        difficulty = positive_number(row["difficulty"], "difficulty", where)
        clips.append(
            JudgedClip(
                path=place,
                frames=_frames(row, videos[video], place, where),
                split=split,
                score=score,
                difficulty=difficulty,
                execution=score / difficulty,
                columns={"clip": f"{video:02d}/{dive}"},
                group=f"{video:02d}",
                marks=marks(row.get("judge_scores"), where),
            )
        )
    return clips


def _frames(row: dict[str, Any], found: dict[int, Path], place: Path, where: str) -> FrameFiles:
    """Those of one dive, the last one included."""
    first, last = (whole(row[name], name, where) for name in ("start_frame", "end_frame"))
    shown = tuple(found[number] for number in range(first, last + 1) if number in found)
    if not shown or len(shown) != last - first + 1:
        raise DataError(f"{where}: {place} has {len(shown)} of the frames {first}…{last}")
    return FrameFiles(shown, FPS)
