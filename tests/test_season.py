"""A season becomes data: what the service has kept is what training reads, bit for bit."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.clip import prepare
from model_store.store import Store
from service.scoring.backend import Clip, TimedScore
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.local_backend import LocalBackend
from tests.checkpoints import publish_tiny, tiny_store
from tests.clips import clip_bytes, clip_of, moving_square
from tests.servers import App, running_app
from tests.training.bright import bright_clip
from training.choices import Kind
from training.data.clip_dataset import open_dataset
from training.data.datasets.archive import read_archive
from training.data.judged_clips import open_clips
from training.measure.evaluate import prepared_clips

pytestmark = pytest.mark.anyio

Windows = dict[str, str]
SENT: list[tuple[bytes, Windows]] = [
    (clip_bytes(frames=240, seed=1), {"start_s": "1.2", "end_s": "5.5"}),
    (clip_bytes(frames=240, seed=2), {"end_s": "3.1"}),
    (clip_bytes(frames=240, seed=3), {"start_s": "4"}),
    (clip_bytes(frames=240, seed=4), {}),
    (clip_bytes(frames=90, seed=5), {}),
    (clip_bytes(frames=300, fps=60, seed=6), {"start_s": "0.3337", "end_s": "4.25"}),
    (clip_of(moving_square(200, 48, 64, seed=7), audio=7.0), {"start_s": "2"}),
    (clip_of(moving_square(200, 48, 64, seed=8), container="mpegts"), {"start_s": "1.9"}),
    (
        clip_of(
            moving_square(130, 48, 64, seed=9),
            fps=25,
            options={"x264-params": "interlaced=1"},
        ),
        {"start_s": "0.7", "end_s": "4.9"},
    ),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def seen() -> dict[str, NDArray[np.uint8]]:
    """What the engine was given last, by the client who sent it."""
    return {}


@pytest.fixture(scope="module")
async def season(
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
    seen: dict[str, NDArray[np.uint8]],
) -> Path:
    """An archive to which clips were sent, each judged by marks or later by a score."""
    archive = tmp_path_factory.mktemp("season") / "archive"
    score = LocalBackend.score

    async def noting(
        self: LocalBackend, loaded: LoadedCheckpoint, clip: Clip, client: str
    ) -> TimedScore:
        seen["last"] = clip.copy()
        return await score(self, loaded, clip, client)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalBackend, "score", noting)
        async with running_app(store, archive=archive) as app:
            for number, (clip, window) in enumerate(SENT):
                marks = {"marks": "8 8 8 7.5 7", "difficulty": "3.1"} if number % 2 else {}
                answer = await sent(app, clip, keep="true", **window, **marks)
                sha256 = answer["clip"]["sha256"]
                seen[sha256] = seen["last"]
                if not marks:
                    later = {"score": str(60 + number), "group": f"athlete {number // 3}"}
                    response = await app.client.post(f"/clips/{sha256}/judged", data=later)
                    assert response.status_code == 200, response.text
                # Another part or action, scored since, is not what was judged.
                since = {"action": "vault"} if number % 3 == 2 else {"start_s": "0.5"}
                await sent(app, clip, keep="true", **since)
            await sent(app, clip_bytes(seed=20), keep="true")  # never judged
            vault = {"action": "vault", "marks": "9 9 9 8.8", "difficulty": "5.8"}
            await sent(app, clip_bytes(frames=100, seed=21), keep="true", **vault)
    return archive


async def sent(app: App, clip: bytes, **fields: str) -> dict[str, Any]:
    response = await app.score(clip, **fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["kept"] is True
    return answer


async def test_training_and_measuring_see_the_tensor_that_was_scored(
    season: Path, store: Store, seen: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    spec = store.load("diving").spec
    clips = open_clips(Kind.archive, [season], spec)
    assert len(clips) == len(SENT)
    for clip, timed in zip(clips, prepared_clips(clips, spec), strict=True):
        assert np.array_equal(timed.frames, seen[clip.path.parent.name]), clip.path
    data = open_dataset(
        (str(season),), spec, kind=Kind.archive, validation=0.2, cache=tmp_path / "cache"
    )
    for index, clip in enumerate(data.clips):
        decoded = prepare(data.cache.decoded(index), spec)
        assert np.array_equal(decoded, seen[clip.path.parent.name]), clip.path
        assert data.hashes[index] == clip.path.parent.name
    assert {clip.split for clip in data.clips} == {"train"}


async def test_each_clip_has_what_judges_gave(season: Path) -> None:
    clips = {clip.path.parent.name: clip for clip in read_archive(season)}
    assert len(clips) == len(SENT) + 1
    for number, (content, window) in enumerate(SENT):
        clip = clips[hashlib.sha256(content).hexdigest()]
        assert clip.path.read_bytes() == content
        assert clip.action == "diving"
        assert (clip.start_s, clip.end_s) == tuple(
            float(window[name]) if name in window else None for name in ("start_s", "end_s")
        )
        if number % 2:
            assert clip.score == pytest.approx(23.5 * 3.1)
            assert clip.execution == pytest.approx(23.5)
            assert clip.marks == (8, 8, 8, 7.5, 7)
        else:
            assert (clip.score, clip.group) == (60 + number, f"athlete {number // 3}")
            assert clip.difficulty is None


async def test_a_group_is_on_one_side_and_growth_moves_no_clip(
    season: Path, tmp_path: Path
) -> None:
    clips = read_archive(season)
    by_group: dict[str, set[str]] = {}
    for clip in clips:
        if clip.group is not None:
            by_group.setdefault(clip.group, set()).add(clip.split)
    assert len(by_group) == 3
    assert all(len(sides) == 1 for sides in by_group.values())
    before = {clip.path.name + clip.columns["clip"]: clip.split for clip in clips}
    half = tmp_path / "half"
    half.mkdir()
    for clip in clips[::2]:
        (half / clip.path.parent.name).symlink_to(clip.path.parent)
    for clip in read_archive(half):
        assert before[clip.path.name + clip.columns["clip"]] == clip.split


def documented() -> list[str]:
    """The commands of docs/season.md, each on one line."""
    text = (Path(__file__).parent.parent / "docs" / "season.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_documented_way_from_a_season_to_a_checkpoint(tmp_path: Path) -> None:
    """60 judged clips that a tiny network can learn: calibrate, train, publish, compare."""
    store = Store(tmp_path / "store")
    publish_tiny(store, "diving", target="both", calibrated=True)
    random = np.random.default_rng(0)
    for _ in range(60):
        brightness = float(random.random())
        content = clip_of(bright_clip(brightness, random, 151), options={"preset": "ultrafast"})
        write_kept(tmp_path / "data/season", content, score=round(20 + 60 * brightness, 2))
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "SCORING_STORE": str(store.root),
    }
    for command in documented():
        run = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"
    assert store.names() == ["diving", "our-season"]
    assert store.load("diving").version == 2  # with intervals of the season
    assert "our-season@1 ranks better" in (tmp_path / "compared.html").read_text()
    assert not (tmp_path / "data/season/.cache").exists()


def write_kept(archive: Path, content: bytes, *, score: float) -> None:
    folder = archive / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True)
    (folder / "clip.mp4").write_bytes(content)
    part = {"start_s": None, "end_s": None, "difficulty": 2.0}
    answer = part | {"action": "diving", "score": 50.0, "scored_at": "2026-11-28T10:00:00Z"}
    (folder / "answer.json").write_text(json.dumps(answer))
    judged = part | {"action": "diving", "score": score, "judged_at": "2026-11-28T10:00:00Z"}
    (folder / "judged.json").write_text(json.dumps(judged))
