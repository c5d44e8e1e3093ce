"""
AQA-7 as it is published, one of its six judged actions at a time.   [Parmar19]

    Actions/<action>-out/NNN/img_NNNNN.jpg   103 frames a clip; videos NNN.avi are taken, too
    Split_4/split_4_train_list.mat           consolidated_train_list, rows of
    Split_4/split_4_test_list.mat            consolidated_test_list: action 1…6, clip, score

Clips count from 1 within their action. `Actions/` may be left out. The frames have no times: the
clips were brought to 103 frames whatever their length, so the rate below makes each of them one
frame of a clip of 30 a second, as all published work takes them.

[Parmar19] P. Parmar, B. T. Morris. Action Quality Assessment Across Multiple Actions. WACV 2019.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from training.datasets.annotations import JudgedClip, Split
from training.datasets.matlab import matrix
from training.datasets.media import find_media, first_of
from training.datasets.points import points
from training.errors import DataError

FPS = Fraction(30)
ACTIONS = (
    "diving", "gym_vault", "ski_big_air", "snowboard_big_air", "sync_diving_3m", "sync_diving_10m",
)  # fmt: skip


def reader(action: str) -> Callable[[Path], list[JudgedClip]]:
    """What reads the clips of one action, named as its folder is."""

    def read(folder: Path) -> list[JudgedClip]:
        clips: dict[int, JudgedClip] = {}
        for split in ("train", "test"):
            path = folder / "Split_4" / f"split_4_{split}_list.mat"
            rows = matrix(path, f"consolidated_{split}_list")
            if rows.shape[1] != 3:
                raise DataError(f"{path} is {rows.shape}, need 3 columns: action, clip, score")
            for line, (number, sample, score) in enumerate(rows, 1):
                where = f"{path}, row {line}"
                if number not in range(1, len(ACTIONS) + 1):
                    raise DataError(f"{where}: action is {number:g}, need 1…{len(ACTIONS)}")
                if sample < 1 or sample % 1:
                    raise DataError(f"{where}: clip is {sample:g}, need 1 or more")
                if ACTIONS[int(number) - 1] != action:
                    continue
                if int(sample) in clips:
                    raise DataError(f"{where}: {action} {sample:g} again")
                clips[int(sample)] = _clip(folder, action, int(sample), score, split, where)
        if not clips:
            raise DataError(f"{folder / 'Split_4'} has no clips of {action}")
        return list(clips.values())

    return read


def _clip(
    folder: Path, action: str, sample: int, score: float, split: Split, where: str
) -> JudgedClip:
    clips = first_of(folder, (f"Actions/{action}-out", f"{action}-out"), f"the clips of {action}")
    media = find_media(clips / f"{sample:03d}", FPS)
    return JudgedClip(
        path=media.path,
        frames=media.frames,
        split=split,
        score=points(score, "score", where),
        columns={"clip": str(media.path.relative_to(folder))},
    )
