"""What is converted is kept on disk, used again, and never trusted when damaged."""

import dataclasses
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from model_store.engines import converted, make_engine
from model_store.engines.parts import Parts
from model_store.network import FragmentNetwork
from tests.checkpoints import TINY, tiny_network, tiny_spec


@pytest.fixture(scope="module")
def small() -> FragmentNetwork:
    """Quick to convert."""
    spec = tiny_spec("vault")
    return tiny_network(spec, dataclasses.replace(TINY, fragments_used=(0,)))


def noise(network: FragmentNetwork) -> np.ndarray:
    spec = network.clip_spec
    shape = (2, spec.frames, *spec.crop, 3)
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def converted_small(small: FragmentNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    make_engine(small, name="openvino", cache=folder)
    return folder


@pytest.fixture
def filled(converted_small: Path, tmp_path: Path) -> Path:
    """A cache that holds `small` alone."""
    return shutil.copytree(converted_small, tmp_path / "cache")


def files(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def forbid_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_store.engines import openvino_cpu

    def convert(parts: Parts) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(openvino_cpu, "convert", convert)


def test_what_is_converted_is_kept_and_used(
    small: FragmentNetwork, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = noise(small)
    expected = make_engine(small, name="torch").score(clips).contributions[0].score
    kept = files(filled)
    assert len(kept) == 5  # two models of two files, and the manifest
    forbid_conversion(monkeypatch)
    monkeypatch.setenv("SCORING_CACHE", str(filled))
    for cache in (filled, None):
        engine = make_engine(small, name="openvino", cache=cache)
        [answer] = engine.score(clips).contributions
        np.testing.assert_allclose(answer.score, expected, atol=0.01)
    assert files(filled) == kept


def test_other_weights_are_another_entry(small: FragmentNetwork, filled: Path) -> None:
    other = deepcopy(small)
    other.head.baseline += 1.0
    engine = make_engine(other, name="openvino", cache=filled)
    assert len(list(filled.iterdir())) == 2
    blank = np.zeros((1, engine.spec.frames, *engine.spec.crop, 3), np.uint8)
    _, values = engine.runtime.values(blank)
    np.testing.assert_allclose(values[0, -1], engine.baseline, atol=0.01)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest"])
def test_a_damaged_entry_is_replaced(small: FragmentNetwork, filled: Path, damage: str) -> None:
    [entry] = filled.iterdir()
    weights = entry / "extraction.bin"
    content = weights.read_bytes()
    if damage == "truncate":
        weights.write_bytes(content[:1000])
    elif damage == "flip":
        weights.write_bytes(content[:1000] + bytes([content[1000] ^ 64]) + content[1001:])
    elif damage == "remove":
        (entry / "coalition_head.xml").unlink()
    else:
        (entry / converted.MANIFEST).write_text("")
    clips = noise(small)
    ours, expected = (
        make_engine(small, name=name, cache=filled).score(clips).contributions[0].score
        for name in ("openvino", "torch")
    )
    np.testing.assert_allclose(ours, expected, atol=0.01)
    assert [path.name for path in filled.iterdir()] == [entry.name]
    assert converted.is_whole(entry)


def test_a_cache_that_cannot_be_written_is_done_without(
    small: FragmentNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    engine = make_engine(small, name="openvino", cache=place / "cache")
    assert engine.name == "openvino"
    assert "cannot be kept" in caplog.text


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCORING_CACHE", str(tmp_path))
    assert converted.default_cache() == tmp_path
    monkeypatch.delenv("SCORING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert converted.default_cache() == tmp_path / "xdg" / "fragment-scorer"
