"""
UNLV-Dive and UNLV-Vault as they are published.   [Parmar17]

    diving_overall_scores.mat        gym_vault_overall_scores.mat       overall_scores, 1×N
    diving_difficulty_level.mat      gym_vault_difficulty_level.mat     difficulty_level (optional)
    diving_samples_len_ori/NNN.avi   gym_vault_samples_len_ori/NNN.avi
    or …_samples_len_151_lstm/       or …_samples_len_100_lstm/
    split_300_70/                    split_4/            training_idx.mat, testing_idx.mat

Sample NNN, the N-th score and the index N in a split are the same clip: all count from 1.

[Parmar17] P. Parmar, B. T. Morris. Learning to Score Olympic Events. CVPR Workshops 2017.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from model_store.spec import DifficultyRule
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.matlab import official_splits, vector
from training.data.datasets.media import find_media, first_of
from training.data.datasets.points import judged_execution, points, positive_number

FPS = Fraction(30)  # of the published videos, for copies that were unpacked into frames


@dataclass(frozen=True, slots=True)
class Layout:
    """What the two data sets call their files."""

    name: str
    videos: tuple[str, ...]
    split: str
    rule: DifficultyRule
    needs_difficulty: bool


DIVE = Layout(
    name="diving",
    videos=("diving_samples_len_ori", "diving_samples_len_151_lstm"),
    split="split_300_70",
    rule="multiply",
    needs_difficulty=True,
)
VAULT = Layout(
    name="gym_vault",
    videos=("gym_vault_samples_len_ori", "gym_vault_samples_len_100_lstm"),
    split="split_4",
    rule="add",
    needs_difficulty=False,
)


def read_unlv_dive(folder: Path) -> list[JudgedClip]:
    return _read(folder, DIVE)


def read_unlv_vault(folder: Path) -> list[JudgedClip]:
    return _read(folder, VAULT)


def _read(folder: Path, layout: Layout) -> list[JudgedClip]:
    scores_file = folder / f"{layout.name}_overall_scores.mat"
    scores = vector(scores_file, "overall_scores")
    splits = official_splits(folder / layout.split, len(scores))
    videos = first_of(folder, layout.videos, "the folder of clips")
    difficulty_file = folder / f"{layout.name}_difficulty_level.mat"
    difficulties = None
    if layout.needs_difficulty or difficulty_file.exists():
        difficulties = vector(difficulty_file, "difficulty_level", length=len(scores))
    clips = []
    for number, split in splits.items():
        what = f"clip {number}"
        media = find_media(videos / f"{number:03d}", FPS)
        score = points(scores[number - 1], what, str(scores_file))
        difficulty = None
        if difficulties is not None:
            difficulty = positive_number(difficulties[number - 1], what, str(difficulty_file))
        clips.append(
            JudgedClip(
                path=media.path,
                frames=media.frames,
                split=split,
                score=score,
                difficulty=difficulty,
                execution=judged_execution(score, difficulty, layout.rule),
                columns={"clip": str(media.path.relative_to(folder))},
            )
        )
    return clips
