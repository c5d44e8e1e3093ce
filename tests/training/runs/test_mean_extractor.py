"""One extractor out of several."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import tiny_store
from training.learn.extractor_file import extractor_clips, read_extractor
from training.runs.mean_extractor import main


def test_each_weight_is_the_mean_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, out = tiny_store(tmp_path / "store"), tmp_path / "mean.safetensors"
    name = store.names()[0]
    monkeypatch.setattr(sys, "argv", ["mean_extractor", str(store.root), name, str(out)])
    main()
    checkpoint, found = store.load(name), read_extractor(out)
    each = [extractor.state_dict() for extractor in checkpoint.network.extractors]
    assert len(each) > 1
    for key, mean in found.items():
        several = np.stack([weights[key].numpy() for weights in each])
        np.testing.assert_allclose(mean, several.mean(axis=0), rtol=1e-5, atol=1e-7)
    assert any(not np.allclose(found[key], weights) for key, weights in each[0].items())
    assert extractor_clips(out) == checkpoint.card.clips
