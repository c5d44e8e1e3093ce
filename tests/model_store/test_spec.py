import dataclasses
import json

import pytest

from model_store.errors import SpecError
from model_store.spec import DIVING, SKATING, SPECS, VAULT, ClipSpec


@pytest.mark.parametrize(
    ("spec", "frames", "fragments", "length", "slack"),
    [(DIVING, 151, 9, 16, 7), (VAULT, 100, 6, 16, 4), (SKATING, 900, 9, 100, 0)],
)
def test_presets_are_those_of_the_contract(
    spec: ClipSpec, frames: int, fragments: int, length: int, slack: int
) -> None:
    assert (spec.frames, spec.fragments, spec.fragment_length) == (frames, fragments, length)
    assert spec.slack == slack


def test_every_frame_is_in_at_most_one_fragment() -> None:
    spec = dataclasses.replace(DIVING, start=7)
    seen = [frame for k in range(spec.fragments) for frame in spec.fragment_frames(k)]
    assert seen == list(range(7, 151))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_spec_survives_json(spec: ClipSpec) -> None:
    assert ClipSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fragments", 10),
        ("fragments", 0),
        ("start", 8),
        ("start", -1),
        ("fps", "0"),
        ("fps", "fast"),
        ("crop", [113, 112]),
        ("crop", [129, 112]),
        ("scaler", "fast_bilinear"),
        ("pad", "middle"),
        ("mean", [1.0, 2.0, float("nan")]),
        ("score_range", [100, 0]),
        ("colour_order", "gbr"),
    ],
)
def test_a_contradictory_spec_is_refused(field: str, value: int | str | list[float]) -> None:
    values = DIVING.to_json() | {field: value}
    if (field, value) == ("crop", [113, 112]):
        values["resize"] = [112, 171]
    with pytest.raises(SpecError):
        ClipSpec.from_json(values)


def test_no_field_is_filled_in_and_none_is_ignored() -> None:
    values = DIVING.to_json()
    for name in values:
        with pytest.raises(SpecError, match=name):
            ClipSpec.from_json({k: v for k, v in values.items() if k != name})
    with pytest.raises(SpecError, match="padding"):
        ClipSpec.from_json(values | {"padding": "end"})
