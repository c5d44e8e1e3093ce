"""The OpenAPI document, and a client that a generator makes of it, against the running service."""

import compileall
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.problem_kinds import KINDS
from tests.clips import clip_bytes
from tests.servers import LiveServer

USE = """
import sys
from pathlib import Path
from generated.api.checkpoints import list_checkpoints
from generated.api.scoring import check_meet, check_panel, rank, score
from generated.client import Client
from generated.models import MeetDiveForm, MeetForm, PanelForm, ProblemAnswer, RankForm, ScoreForm
from generated.types import File

client = Client(base_url=sys.argv[1], timeout=60)
clip = lambda: File(payload=Path(sys.argv[2]).open("rb"), file_name="dive.mp4")
answer = score.sync(client=client, body=ScoreForm(clip=clip(), action="diving", difficulty=3.3))
assert abs(answer.baseline + sum(f.contribution for f in answer.fragments) - answer.score) < 1e-3
assert rank.sync(client=client, body=RankForm(clips=[clip(), clip()])).order == [0, 1]
panel = check_panel.sync(client=client, body=PanelForm(marks=[8, 8, 8, 8, 8], difficulty=3.0))
assert panel.total == 72.0
dives = [MeetDiveForm(marks=[8, None, 8, 8], dive="107B", height=3)]
meet = check_meet.sync(client=client, body=MeetForm(dives=dives))
assert meet.dives[0].total == 74.4 and [judge.judge for judge in meet.judges] == [1, 3, 4]
assert list_checkpoints.sync(client=client).default == "diving"
problem = score.sync(client=client, body=ScoreForm(clip=clip(), difficulty=9.0))
assert isinstance(problem, ProblemAnswer) and problem.errors[0].name == "difficulty"
"""


@pytest.fixture(scope="module")
def document(local_server: LiveServer) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{local_server.url}/openapi.json", timeout=60).json()
    return document


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_every_operation_has_a_name_a_tag_and_named_errors(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert {
        "score",
        "rank",
        "check_panel",
        "check_meet",
        "list_checkpoints",
        "show_checkpoint",
    } <= set(names)
    assert len(set(names)) == len(names)
    known = {(kind.uri, kind.status) for kind in KINDS.values()}
    for operation in operations(document):
        assert operation["tags"]
        assert operation["summary"]
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                content = response["content"]["application/problem+json"]
                bodies = [example["value"] for example in content["examples"].values()]
                assert bodies
                assert {(body["type"], body["status"]) for body in bodies} <= known


def test_a_generated_client_compiles_and_works(
    document: dict[str, Any], local_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "dive.mp4").write_bytes(clip_bytes())
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}  # it formats by ruff
    generate = "generate --path openapi.json --output-path generated --meta none"
    for command in (
        [str(bin_folder / "openapi-python-client"), *generate.split(), "--fail-on-warning"],
        [sys.executable, "-c", USE, local_server.url, "dive.mp4"],
    ):
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert compileall.compile_dir(tmp_path / "generated", quiet=1)


def test_it_names_its_licence_and_whom_to_ask(server: LiveServer) -> None:
    info = httpx.get(f"{server.url}/openapi.json", timeout=60).json()["info"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert info["contact"]["name"]
