"""A checkpoint in ONNX Runtime against the reference engine."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from model_store.clip import load_clip
from model_store.network_spec import Target
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from model_store.store import SHIPPED, Store
from model_store.transfer.onnx_model import write_onnx
from tests.checkpoints import publish_tiny


@pytest.mark.parametrize("target", ["final", "both"])
def test_scores_and_features_agree(target: Target, tmp_path: Path) -> None:
    """For batches of any size, and clips of which some fragments are blank."""
    store = Store(tmp_path / "store")
    publish_tiny(store, target=target, used=(0, 4, 8))
    checkpoint = store.load("diving")
    write_onnx(checkpoint, tmp_path / "diving.onnx")
    spec = checkpoint.spec
    shape = (spec.frames, *spec.crop, 3)
    clips = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    clips[1, :70] = 0
    clips[2] = 0
    session = onnxruntime.InferenceSession(tmp_path / "diving.onnx")
    for batch in (clips[:1], clips):
        scores, features = Scorer(checkpoint, "torch").score_with_features(list(batch))
        found = dict(zip([each.name for each in session.get_outputs()],
                         session.run(None, {"clips": batch}), strict=True))  # fmt: skip
        assert found.keys() == {"score", "features", *(["execution"] * (target == "both"))}
        np.testing.assert_allclose(found["score"], [each.score for each in scores], atol=0.01)
        np.testing.assert_allclose(found["features"], features, rtol=1e-3, atol=1e-3)
        if target == "both":
            execution = [each.of_execution.score for each in scores if each.of_execution]
            np.testing.assert_allclose(found["execution"], execution, atol=0.01)


def test_the_shipped_dives_with_their_views(tmp_path: Path) -> None:
    checkpoint = Store(SHIPPED).load("diving")
    assert checkpoint.card.network.views > 1
    write_onnx(checkpoint, tmp_path / "diving.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "diving.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["checkpoint"] == checkpoint.reference
    assert ClipSpec.from_json(json.loads(metadata["clip_spec"])) == checkpoint.spec
    clip = load_clip(checkpoint.golden_clip, checkpoint.spec)[None]
    [score, execution, _] = session.run(None, {"clips": clip})
    first, second = checkpoint.golden.outputs
    assert score[0] == pytest.approx(first.score, abs=0.01)
    assert execution[0] == pytest.approx(second.score, abs=0.01)
