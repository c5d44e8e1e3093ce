"""
Tiny copies of the public data sets, in every detail that an adapter reads.

Each clip is as bright as its score says, so a test can see from the pixels whether the right score
came with the right clip: `brightness_of(score)`.

Shapes: T frames, H W pixels.
"""

import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from tests.clips import write_clip

FRAMES, SIDE = 20, 32
CLIPS = 12


def score_of(number: int) -> float:
    """Different for each clip, and in no order that numbering could imitate."""
    return 20 + 70 * (number * 7 % 17) / 17


def difficulty_of(number: int) -> float:
    return 2.5 + number / 10


def brightness_of(score: float) -> float:
    return 2 * score + 30


def pixels(score: float, frames: int = FRAMES) -> NDArray[np.uint8]:
    """(T, H, W, 3), all of one grey but for squares that say the number of the frame: three of
    them, or four in a clip of more than 64 frames, whose numbers come again after 256."""
    clip = np.full((frames, SIDE, SIDE, 3), round(brightness_of(score)), np.uint8)
    for number, frame in enumerate(clip):
        for place in range(3 if frames <= 64 else 4):
            frame[:8, 8 * place : 8 * place + 8] = 60 * (number // 4**place % 4)
    return clip


def write_video(path: Path, score: float, frames: int = FRAMES, fps: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(
        path, pixels(score, frames), fps=fps, codec="mjpeg", container="avi", pix_fmt="yuvj420p"
    )


def write_frames(folder: Path, score: float, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(names, pixels(score, len(names)), strict=True):
        Image.fromarray(picture).save(folder / name, quality=95)


def numbers_for_testing(count: int) -> list[int]:
    """Numbers of the clips for testing, from 1: a quarter, from both ends."""
    return [n for n in range(1, count + 1) if n % 4 == 1]


def write_unlv(folder: Path, name: str, videos: str, split: str, *, difficulty: bool) -> None:
    for number in range(1, CLIPS + 1):
        write_video(folder / videos / f"{number:03d}.avi", score_of(number))
    numbers = range(1, CLIPS + 1)
    scores = np.array([[score_of(n) for n in numbers]])
    savemat(folder / f"{name}_overall_scores.mat", {"overall_scores": scores})
    if difficulty:
        levels = np.array([[difficulty_of(n)] for n in numbers])  # N×1, as published
        savemat(folder / f"{name}_difficulty_level.mat", {"difficulty_level": levels})
    tests = numbers_for_testing(CLIPS)
    (folder / split).mkdir()
    train = np.array([[n for n in numbers[::-1] if n not in tests]], np.uint16)
    savemat(folder / split / "training_idx.mat", {"training_idx": train})
    savemat(folder / split / "testing_idx.mat", {"testing_idx": np.array([tests], np.float64)})


def write_unlv_dive(folder: Path) -> None:
    write_unlv(folder, "diving", "diving_samples_len_ori", "split_300_70", difficulty=True)


def write_unlv_vault(folder: Path) -> None:
    write_unlv(folder, "gym_vault", "gym_vault_samples_len_100_lstm", "split_4", difficulty=False)


def write_mit_skate(folder: Path, clips: int = CLIPS, frames: int = FRAMES) -> None:
    for number in range(1, clips + 1):
        write_video(folder / "videos" / f"{number:03d}.avi", score_of(number), frames, fps=24)
    scores = "".join(f"{score_of(n)}\n" for n in range(1, clips + 1))
    (folder / "scores.txt").write_text(scores)


def write_aqa7(folder: Path, action: str = "gym_vault", number: int = 2) -> None:
    """With rows of another action between those of this one."""
    rows: dict[str, list[list[float]]] = {"train": [], "test": []}
    for sample in range(1, CLIPS + 1):
        names = [f"img_{n:05d}.jpg" for n in range(1, FRAMES + 1)]
        write_frames(
            folder / "Actions" / f"{action}-out" / f"{sample:03d}", score_of(sample), names
        )
        split = "test" if sample in numbers_for_testing(CLIPS) else "train"
        other = 1 if number == 6 else 6
        rows[split] += [[other, sample, 1.0], [number, sample, score_of(sample)]]
    (folder / "Split_4").mkdir()
    for split, content in rows.items():
        savemat(
            folder / "Split_4" / f"split_4_{split}_list.mat",
            {f"consolidated_{split}_list": np.array(content)},
        )


def write_mtl_aqa(folder: Path) -> None:
    """Two broadcasts, the dives one after another in each."""
    annotations: dict[tuple[int, int], object] = {}
    splits: dict[str, list[object]] = {"train": [], "test": []}
    for number in range(1, CLIPS + 1):
        video, dive = (1, number) if number <= CLIPS // 2 else (26, number)
        first = 100 * number
        names = [f"{first + i:06d}.jpg" for i in range(FRAMES)]
        write_frames(
            folder / "new" / "new_total_frames_256s" / f"{video:02d}", score_of(number), names
        )
        annotations[video, dive] = {
            "final_score": np.float64(score_of(number)),
            "difficulty": difficulty_of(number),
            "start_frame": np.int64(first),
            "end_frame": first + FRAMES - 1,
            "position": 1,
            "judge_scores": [7.5, 8.0, 8.5],
        }
        splits["test" if number in numbers_for_testing(CLIPS) else "train"].append((video, dive))
    write_pickles(folder / "info", "final_annotations_dict.pkl", annotations, splits, "_split_0")


def write_finediving(folder: Path) -> None:
    annotations: dict[tuple[str, int], object] = {}
    splits: dict[str, list[object]] = {"train": [], "test": []}
    for number in range(1, CLIPS + 1):
        key = (f"Event{number % 2}_final_r{number}", number)
        names = [f"{400 + i:05d}.jpg" for i in range(FRAMES)]
        write_frames(folder / "FINADiving_MTL_256s" / key[0] / str(number), score_of(number), names)
        annotations[key] = {
            "action_type": "5253B",
            "dive_score": score_of(number),
            "difficulty": difficulty_of(number),
            "judge_scores": [7.0, 8.0],
            "frames_labels": np.zeros(FRAMES),
        }
        splits["test" if number in numbers_for_testing(CLIPS) else "train"].append(key)
    write_pickles(
        folder / "Annotations", "FineDiving_coarse_annotation.pkl", annotations, splits, "_split"
    )


def write_pickles(
    folder: Path, name: str, annotations: object, splits: dict[str, list[object]], ending: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(annotations, protocol=2))
    for split, keys in splits.items():
        (folder / f"{split}{ending}.pkl").write_bytes(pickle.dumps(keys))


def write_ucf101(
    folder: Path, classes: tuple[str, ...] = ("ApplyEyeMakeup", "YoYo"), groups: int = 4
) -> None:
    """Classes are as bright as a score of 10, 70, …; group 1 is for testing."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number, kind in enumerate(classes, 1):
        for group in range(1, groups + 1):
            for cut in (1, 2):
                name = f"{kind}/v_{kind}_g{group:02d}_c{cut:02d}.avi"
                write_video(folder / name, 60 * number - 50 + group + cut, FRAMES + group, 25)
                if group == 1:
                    lists["test"].append(name)
                else:
                    lists["train"].append(f"{name} {number}")
    (folder / "ucfTrainTestlist").mkdir()
    index = "".join(f"{number} {kind}\n" for number, kind in enumerate(classes, 1))
    (folder / "ucfTrainTestlist" / "classInd.txt").write_text(index)
    for split, lines in lists.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / "ucfTrainTestlist" / f"{split}list01.txt").write_text(text)


WRITERS: dict[str, Callable[[Path], None]] = {
    "unlv-dive": write_unlv_dive,
    "unlv-vault": write_unlv_vault,
    "mit-skate": write_mit_skate,
    "aqa-7-vault": write_aqa7,
    "mtl-aqa": write_mtl_aqa,
    "finediving": write_finediving,
}
RATES = {"mit-skate": Fraction(24), "mtl-aqa": Fraction(25), "finediving": Fraction(25)}
