"""
Annotations that were published as Python pickles, read without running what is in them.

The rule: dict, list, tuple, str and numbers need no class; of classes only those of NumPy's
scalars are known, and of arrays where a data set has them. Anything else is refused by name,
before it is called.
"""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from training.data.datasets.annotations import Split
from training.errors import DataError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2
SCALARS = {("numpy", "dtype"), *((module, "scalar") for module in _ARRAY_MODULES)}
ARRAYS = {("numpy", "ndarray"), *((module, "_reconstruct") for module in _ARRAY_MODULES)}

_DAMAGE = (  # what loading can raise by the documentation of pickle, and what NumPy raises
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip


def read_pickle(path: Path, *, arrays: bool = False) -> Any:
    """Plain data; with `arrays`, NumPy's arrays in it.   Raises DataError."""
    try:
        with path.open("rb") as file:
            return _Unpickler(file, SCALARS | ARRAYS if arrays else SCALARS).load()
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read as a pickle of plain data: {error}") from error


def read_split(folder: Path, ending: str) -> dict[Any, Split]:
    """Keys of the lists `train…` and `test…` to their split.   Raises DataError."""
    splits: dict[Any, Split] = {}
    names: tuple[Split, ...] = ("train", "test")
    for split in names:
        path = folder / f"{split}{ending}"
        keys = read_pickle(path)
        if not isinstance(keys, list) or not keys:
            raise DataError(f"{path} holds a {type(keys).__name__}, need a list of pairs")
        for key in keys:
            if not isinstance(key, (tuple, list)) or list(map(_is_name, key)) != [True, True]:
                raise DataError(f"{path}: {key!r}, need pairs of names or numbers")
            if tuple(key) in splits:
                raise DataError(f"{path}: {tuple(key)} again")
            splits[tuple(key)] = split
    return splits


def _is_name(part: Any) -> bool:
    return isinstance(part, (str, int, np.integer))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, known: set[tuple[str, str]]) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote some of them
        self._known = known

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _bytes_of
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _bytes_of(text: str, encoding: str) -> bytes:
    """How pickles of Python 2 spell bytes, which NumPy's scalars have."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in {encoding}")
    return text.encode("latin1")
