"""Numbers and splits from .mat files, checked."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets.annotations import Split
from training.errors import DataError

Floats = NDArray[np.float64]


def matrix(path: Path, key: str) -> Floats:
    """The matrix `key` of a file, (rows, columns).

    A file with one variable only may call it anything. Raises DataError.
    """
    from scipy.io import loadmat  # takes a third of a second, and most commands need none
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(str(path), appendmat=False)  # a Path that is missing: another error
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing, need it with a matrix {key}") from error
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise DataError(f"{path} cannot be read as a .mat file: {error}") from error
    found = sorted(name for name in content if not name.startswith("__"))
    name = key if key in found else found[0] if len(found) == 1 else None
    if name is None:
        raise DataError(f"{path} has {found}, need a matrix {key}")
    values = np.asarray(content[name])
    if values.ndim != 2 or not values.size or values.dtype.kind not in "uif":
        raise DataError(f"{path}: {name} is {values.shape} {values.dtype}, need numbers")
    return values.astype(np.float64)


def vector(path: Path, key: str, *, length: int | None = None) -> Floats:
    """A 1×N or N×1 matrix as (N,); `length` is the N it must have."""
    values = matrix(path, key)
    if 1 not in values.shape:
        raise DataError(f"{path}: {key} is {values.shape}, need 1×N")
    if length is not None and values.size != length:
        raise DataError(f"{path}: {values.size} values, need {length}")
    return values.ravel()


def indices(path: Path, key: str, *, count: int) -> list[int]:
    """Numbers of clips as MATLAB counts them, 1…`count`, none twice; in the file's order."""
    values = vector(path, key)
    wrong = [f"{value:g}" for value in values if not (1 <= value <= count and value % 1 == 0)]
    if wrong:
        raise DataError(f"{path}: {', '.join(wrong[:5])} among the indices, need 1…{count}")
    numbers = [int(value) for value in values]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise DataError(f"{path}: {twice[:5]} more than once")
    return numbers


def official_splits(folder: Path, count: int) -> dict[int, Split]:
    """Number of each clip, from 1, to its split; each of `count` clips is in one."""
    train = indices(folder / "training_idx.mat", "training_idx", count=count)
    test = indices(folder / "testing_idx.mat", "testing_idx", count=count)
    if both := sorted(set(train) & set(test)):
        raise DataError(f"{folder}: clips {both[:5]} are for training and for testing")
    if len(train) + len(test) != count:
        raise DataError(
            f"{folder}: {len(train)} clips for training and {len(test)} for testing, but there are"
            f" {count} scores"
        )
    splits: dict[int, Split] = dict.fromkeys(train, "train")
    return splits | dict.fromkeys(test, "test")
