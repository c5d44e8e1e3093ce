"""Pickles: plain data is read, nothing is run."""

import collections
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.datasets.pickles import read_pickle
from training.errors import DataError

PLAIN = {(1, 5): {"final_score": 86.4, "marks": [7.5, 8], "position": "pike", "none": None}}


class Harmful:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_and_numpy_scalars(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    values = PLAIN | {(np.int64(2), 1): np.float32(3.5)}
    path.write_bytes(pickle.dumps(values, protocol))
    assert read_pickle(path) == values


def test_names_of_older_numpy(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    content = pickle.dumps(np.float64(86.4), 2).replace(b"numpy._core", b"numpy.core")
    path.write_bytes(content)
    assert b"numpy.core" in content
    assert read_pickle(path) == 86.4


def test_nothing_is_run(tmp_path: Path) -> None:
    path, made = tmp_path / "a.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps({(1, 1): Harmful(str(made))}))
    with pytest.raises(DataError, match=r"plain data: it holds posix.mkdir"):
        read_pickle(path)
    assert not made.exists()


@pytest.mark.parametrize("value", [collections.OrderedDict(a=1), np.array([1.0]), eval, print])
def test_other_classes_are_refused_by_name(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=r"plain data: it holds \w+"):
        read_pickle(path)


def test_bytes_of_python_2_in_another_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(DataError, match="bytes in rot13"):
        read_pickle(path)


def test_arrays_where_a_data_set_has_them(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"frames_labels": np.arange(3)}))
    np.testing.assert_array_equal(read_pickle(path, arrays=True)["frames_labels"], [0, 1, 2])
    path.write_bytes(pickle.dumps(Harmful(str(tmp_path / "made"))))
    with pytest.raises(DataError, match="mkdir"):
        read_pickle(path, arrays=True)


@pytest.mark.parametrize("content", [b"", b"rubbish", pickle.dumps(PLAIN)[:-9]])
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.pkl cannot be read as a pickle"):
        read_pickle(path)
    path.unlink()
    with pytest.raises(DataError, match=r"a.pkl is missing"):
        read_pickle(path)
