"""Requests made up from the OpenAPI document: a real server answers as it is documented."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok

from model_store.store import Store
from tests.clips import audio_only, clip_bytes
from tests.servers import LiveServer, live_server

KEY = {"authorization": "Bearer a-key"}
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
QUICK = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CLIPS = [clip_bytes(frames=20, height=48, width=64), b"no video", b"", audio_only()]
VALUES = st.one_of(
    st.text(max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(
        ["diving", "vault", "diving@1", "frames", "0", "1", "1e308", "٣", "\0", "107B"]
    ),
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "action",
            "checkpoint",
            "difficulty",
            "dive",
            "height",
            "marks",
            "start_s",
            "end_s",
            "include",
            "keep",
            "other",
            "clip",
        ]
    ),
    VALUES,
)


@pytest.fixture(scope="module")
def guarded(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    with live_server(store.root, folder, api_keys="a-key", archive=folder / "archive") as server:
        yield server


def operations(server: LiveServer) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(found) == len([*schema.get_all_operations()])
    return {operation.label: operation for operation in found}


@pytest.mark.parametrize(
    ("mode", "headers"),
    [(GenerationMode.POSITIVE, KEY), (GenerationMode.NEGATIVE, KEY), (GenerationMode.POSITIVE, {})],
    ids=["allowed", "forbidden", "without a key"],
)
def test_what_the_document_allows_and_forbids_gets_a_documented_answer(
    guarded: LiveServer, mode: GenerationMode, headers: dict[str, str]
) -> None:
    tried = operations(guarded)
    taking = {"POST /score", "GET /checkpoints/{name}", "POST /clips/{sha256}/judged"}
    assert {*taking, "POST /admin/reload"} <= tried.keys()
    if mode is GenerationMode.NEGATIVE:  # what takes nothing cannot be given anything wrong
        tried = {label: tried[label] for label in taking}
    for operation in tried.values():

        @QUICK
        @given(operation.as_strategy(generation_mode=mode))
        def attempt(case: Any) -> None:
            case.validate_response(case.call(headers=headers), checks=CHECKS)

        attempt()


def test_where_a_key_is_needed_is_documented(guarded: LiveServer) -> None:
    needed = {
        label for label, each in operations(guarded).items() if each.definition.raw.get("security")
    }
    assert needed >= {"POST /score", "POST /rank", "GET /checkpoints", "POST /admin/reload"}
    assert not needed & {"GET /livez", "GET /readyz", "GET /metrics"}


def test_any_parameters_beside_a_clip(guarded: LiveServer) -> None:
    operation = operations(guarded)["POST /score"]
    statuses = set()
    with guarded.client() as client:

        @QUICK
        @given(FIELDS, st.sampled_from(CLIPS))
        def attempt(fields: dict[str, str], clip: bytes) -> None:
            response = client.post("/score", files={"clip": clip}, data=fields, headers=KEY)
            statuses.add(response.status_code)
            assert response.status_code < 500
            assert str(response.status_code) in operation.definition.raw["responses"]

        attempt()
    assert statuses >= {200, 422}
