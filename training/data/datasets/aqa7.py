"""
AQA-7 as it is published, one of its six judged actions at a time.   [Parmar19]

    Actions/<action>-out/NNN/img_NNNNN.jpg   103 frames a clip; videos NNN.avi are taken, too
    Split_4/split_4_train_list.mat           consolidated_train_list, rows of
    Split_4/split_4_test_list.mat            consolidated_test_list: action 1…6, clip, score

Clips count from 1 within their action. `Actions/` may be left out. The frames have no times: the
clips were brought to 103 frames whatever their length, so the rate below makes each of them one
frame of a clip of 30 a second, as all published work takes them.

The lists are about in two forms. Split_4 is in points, between 21.6 and 102.6 for diving [Yu21].
The same lists beside the authors' own code have hundredths of a point [Parmar18], 2160 to 10260.
No score of one form can be one of the other, so the scores decide; lists that mix them are refused.

[Parmar19] P. Parmar, B. T. Morris. Action Quality Assessment Across Multiple Actions. WACV 2019.
[Parmar18] github.com/ParitoshParmar/C3D-LSTM--PyTorch, data_loader.py: annotations[ix][2] / 100.
[Yu21] github.com/yuxumin/CoRe, utils/misc.py: label_ranges of the six actions.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from training.data.datasets.annotations import JudgedClip, Split
from training.data.datasets.matlab import Floats, matrix
from training.data.datasets.media import find_media, first_of
from training.data.datasets.points import points
from training.errors import DataError

FPS = Fraction(30)
HIGHEST = {  # points, in either split [Yu21]; the lowest are more than a tenth of them
    "diving": 102.6,  # from 21.6
    "gym_vault": 16.87,  # from 12.3
    "ski_big_air": 50.0,  # from 8
    "snowboard_big_air": 50.0,  # from 8
    "sync_diving_3m": 104.88,  # from 46.2
    "sync_diving_10m": 99.36,  # from 49.8
}
ACTIONS = tuple(HIGHEST)


def reader(action: str) -> Callable[[Path], list[JudgedClip]]:
    """What reads the clips of one action, named as its folder is."""

    def read(folder: Path) -> list[JudgedClip]:
        clips: dict[int, JudgedClip] = {}
        for split in ("train", "test"):
            path = folder / "Split_4" / f"split_4_{split}_list.mat"
            rows = matrix(path, f"consolidated_{split}_list")
            if rows.shape[1] != 3:
                raise DataError(f"{path} is {rows.shape}, need 3 columns: action, clip, score")
            mine = rows[:, 0] == ACTIONS.index(action) + 1
            unit = steps_a_point(rows[mine, 2], action, path)
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
                clips[int(sample)] = _clip(folder, action, int(sample), score / unit, split, where)
        if not clips:
            raise DataError(f"{folder / 'Split_4'} has no clips of {action}")
        return list(clips.values())

    return read


def steps_a_point(scores: Floats, action: str, path: Path) -> float:
    """1 for a list in points, 100 for one in hundredths.   Raises DataError for both in one."""
    hundredths = scores > 10 * HIGHEST[action]
    if not hundredths.any():
        return 1.0
    if (scores[~hundredths] > 0).any():
        raise DataError(
            f"{path}: scores of {action} from {scores.min():g} to {scores.max():g}, need all in"
            " points or all in hundredths of a point"
        )
    return 100.0


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
