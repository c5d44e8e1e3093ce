"""A clip that tests keep, and what they read of the archive."""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.clips import clip_bytes
from tests.servers import App

CLIP = clip_bytes(frames=100)
SHA256 = hashlib.sha256(CLIP).hexdigest()
MARKS = "8.5,8,8,8.5,9,8,8"  # 24.5 × difficulty
IN_A_SMALL_ARCHIVE = (
    "unshare", "-rm", "sh", "-c",
    'mount -t tmpfs -o size=1m none "$SCORING_ARCHIVE" && exec "$@"', "sh",
)  # fmt: skip


def answer_of(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def judged(app: App, **fields: str) -> httpx.Response:
    return await app.client.post(f"/clips/{SHA256}/judged", data=fields)


def file_of(archive: Path, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((archive / SHA256 / name).read_text())
    return values


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def locked(archive: Path) -> Iterator[None]:
    """Another process changes a clip all the while."""
    with (archive / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
