"""New versions while clips are being scored."""

import asyncio
import itertools
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from model_store.checkpoint import FILES, MANIFEST
from model_store.scorer import Scorer
from model_store.store import Store
from service.scoring.local_backend import LocalCheckpoint
from tests.checkpoints import flip_a_bit, publish_tiny
from tests.clips import clip_bytes
from tests.servers import App, live_server, running_app, wait_until_ready

pytestmark = pytest.mark.anyio

KEY = {"authorization": "Bearer a-key"}
KEYS = (SecretStr("a-key"),)


@pytest.fixture
def own(store: Store, tmp_path: Path) -> Store:
    """A store that may be changed."""
    return Store(shutil.copytree(store.root, tmp_path / "store"))


async def version(app: App) -> int:
    response = await app.client.post("/score", files={"clip": clip_bytes(frames=40)}, headers=KEY)
    assert response.status_code == 200
    number: int = response.json()["checkpoint"]["version"]
    return number


async def reload(app: App) -> httpx.Response:
    return await app.client.post("/admin/reload", headers=KEY)


async def test_a_new_version_is_swapped_in_and_a_request_keeps_its_own(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(own, api_keys=KEYS) as app:
        assert (await reload(app)).json()["loaded"] == []
        old = app.service.choose("diving", None)
        publish_tiny(own, "diving", seed=1)
        held, original = threading.Event(), Scorer.check_golden

        def slowly(self: Scorer) -> float:
            held.wait(30)
            return original(self)

        monkeypatch.setattr(Scorer, "check_golden", slowly)
        reloading = asyncio.create_task(reload(app))
        assert await version(app) == 1  # while the other one is being loaded
        assert not reloading.done()
        held.set()
        answer = (await reloading).json()
        assert (answer["loaded"], answer["released"]) == (["diving@2"], ["diving@1"])
        assert await version(app) == 2
        assert app.service.choose("vault", None).reference == "vault@1"
        assert isinstance(old, LocalCheckpoint)
        assert old.scorer.score([]) == []  # whoever holds the old one can still use it
        metrics = (await app.client.get("/metrics")).text
        assert 'name="diving",sha256="' in metrics
        assert 'version="1"' in metrics.split("score_model_info{")[2]  # the vault's
        assert metrics.count("score_model_info{") == 2
        own.make_current("diving", 1)  # a roll-back is a reload, too
        await reload(app)
        assert await version(app) == 1


async def test_a_bad_version_is_refused_and_the_old_one_stays(own: Store) -> None:
    async with running_app(own, api_keys=KEYS, checkpoints="diving") as app:
        for refused, name in enumerate([*FILES, MANIFEST, "current"], start=1):
            publish_tiny(own, "diving", seed=1)
            folder = own.root / "diving" if name == "current" else own.path("diving")
            flip_a_bit(folder / name)
            response = await reload(app)
            assert response.status_code == 409
            assert response.json()["type"] == "/problems/reload-refused"
            assert str(own.root) not in response.text
            counted = app.service.metrics.registry.get_sample_value
            assert counted("score_reloads_total", {"outcome": "refused"}) == refused
        assert await version(app) == 1
        assert (await app.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("broken", "reference", "reason"),
    [
        ("1/weights.safetensors", "vault@1", "weights.safetensors differs from MANIFEST.sha256"),
        ("current", "vault", "vault/current is missing or not a version"),
        ("1/golden.json", "vault@1", "a file or folder of it cannot be read: "),
    ],
)
async def test_a_checkpoint_that_cannot_be_used_costs_itself_alone(
    own: Store, caplog: pytest.LogCaptureFixture, broken: str, reference: str, reason: str
) -> None:
    place = own.root / "vault" / broken
    if broken.endswith("golden.json"):
        place.unlink()
        place.symlink_to(place.name)  # to itself: not even root can read it
    else:
        flip_a_bit(place)
    async with running_app(own, api_keys=KEYS) as app:
        [unusable] = (await app.client.get("/checkpoints", headers=KEY)).json()["unusable"]
        assert unusable["reference"] == reference
        assert unusable["reason"].startswith(reason)
        assert str(own.root) not in unusable["reason"]
        ready = await app.client.get("/readyz")
        assert (ready.status_code, ready.json()["unusable"]) == (200, [reference])
        assert f"{reference} cannot be used" in caplog.text
        assert await version(app) == 1  # the diving checkpoint's
        for fields in ({"action": "vault"}, {"checkpoint": reference}):
            files = {"clip": clip_bytes(frames=40)}
            refused = await app.client.post("/score", files=files, data=fields, headers=KEY)
            assert refused.status_code == 503
            assert refused.json()["type"] == "/problems/checkpoint-unusable"
        publish_tiny(own, "diving", seed=1)
        answer = (await reload(app)).json()  # what was unusable before stops no reload
        assert (answer["loaded"], len(answer["unusable"])) == (["diving@2"], 1)
        if broken == "1/weights.safetensors":
            flip_a_bit(place)
            answer = (await reload(app)).json()
            assert (answer["loaded"], answer["unusable"]) == (["vault@1"], [])
            assert (await app.client.get("/readyz")).json() == {"status": "ready"}


async def test_no_other_version_answers_to_the_name_of_one_that_cannot_be_used(own: Store) -> None:
    publish_tiny(own, "vault", seed=1)
    flip_a_bit(own.path("vault@2") / "card.json")
    async with running_app(own, api_keys=KEYS, checkpoints="diving,vault@1,vault@2") as app:
        files = {"clip": clip_bytes(frames=40)}
        for fields, status in (({"action": "vault"}, 503), ({"checkpoint": "vault@1"}, 200)):
            answer = await app.client.post("/score", files=files, data=fields, headers=KEY)
            assert answer.status_code == status


@pytest.mark.parametrize(
    "settings",
    [{}, {"default_checkpoint": "vault"}, {"checkpoints": "vault"}],
    ids=["usual", "chosen", "only"],
)
async def test_nothing_answers_in_the_place_of_the_default(
    own: Store, settings: dict[str, Any]
) -> None:
    default = "vault" if settings else "diving"
    flip_a_bit(own.path(default) / "weights.safetensors")
    async with running_app(own, ready=False, **settings) as app:
        await app.service.loading
        assert not app.service.alive
        assert (await app.client.get("/readyz")).status_code == 503


@pytest.mark.parametrize("engine", ["auto", "openvino"])
async def test_an_engine_that_fails_is_replaced_only_where_none_is_named(
    own: Store, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr("model_store.engines.openvino_cpu.load", fail)
    failures: list[str] = []
    async with running_app(
        own, ready=False, engine=engine, on_failure=lambda: failures.append("failed")
    ) as app:
        await app.service.loading
        metrics = (await app.client.get("/metrics")).text
        if engine == "auto":
            assert "score_engine_fallbacks 2.0" in metrics
            assert metrics.count('engine="torch"') == 2
            assert await version(app) == 1
        else:
            assert failures == ["failed"]
            assert (await app.client.get("/livez")).status_code == 503


@pytest.mark.parametrize("step", ["model_store.store.Store.load", "Scorer.check_golden"])
async def test_a_step_of_loading_that_hangs_is_an_error(
    own: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    released = threading.Event()
    monkeypatch.setattr("service.scoring.local_backend.TASK_LIMIT_S", 1.0)
    place = f"model_store.scorer.{step}" if step.startswith("Scorer") else step
    monkeypatch.setattr(place, lambda *given: released.wait(60))
    async with running_app(own, ready=False, checkpoints="diving") as app:
        await app.service.loading
        assert (await app.client.get("/livez")).status_code == 503
        assert "loading hangs: a step took longer than 1 s" in caplog.text
    released.set()


async def test_one_that_scores_wrongly_is_refused(
    own: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(own, api_keys=KEYS, checkpoints="diving") as app:
        publish_tiny(own, "diving", seed=1)
        monkeypatch.setattr(Scorer, "check_golden", lambda self: 1 / 0)
        response = await reload(app)
        assert response.status_code == 409
        assert "division" not in response.text
        assert await version(app) == 1


@pytest.mark.parametrize("keys", [(), KEYS])
async def test_it_needs_a_key_even_where_nothing_else_does(
    store: Store, keys: tuple[SecretStr, ...]
) -> None:
    async with running_app(store, ready=False, api_keys=keys) as app:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            response = await app.client.post("/admin/reload", headers=headers)
            assert response.status_code == 401


def test_sighup_loses_no_request(own: Store, tmp_path: Path) -> None:
    clips = itertools.cycle([clip_bytes(frames=40, seed=seed) for seed in range(4)])
    versions: list[int] = []
    with live_server(own.root, tmp_path, checkpoints="diving") as server:

        def keep_asking() -> None:
            while versions[-1:] != [2]:
                answer = server.score(next(clips))
                assert answer.status_code == 200
                versions.append(answer.json()["checkpoint"]["version"])

        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(keep_asking) for _ in range(2)]
            while len(versions) < 3:
                time.sleep(0.05)
            publish_tiny(own, "diving", seed=1)
            server.process.send_signal(signal.SIGHUP)
            for one in asking:
                one.result(timeout=120)
        assert versions[0] == 1
        publish_tiny(own, "diving", seed=2)
        flip_a_bit(own.path("diving") / "card.json")
        server.process.send_signal(signal.SIGHUP)
        while not any("SIGHUP has changed" in line["message"] for line in server.log_lines()):
            time.sleep(0.05)
        assert server.score(next(clips)).json()["checkpoint"]["version"] == 2
        assert server.terminate() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_sighup_while_it_starts_does_not_end_it(own: Store, tmp_path: Path) -> None:
    with live_server(own.root, tmp_path, ready=False, checkpoints="diving") as server:
        status = Path(f"/proc/{server.process.pid}/status")
        while not (int(status.read_text().partition("SigIgn:")[2].split()[0], 16) & 1):
            assert server.process.poll() is None
            time.sleep(0.01)  # Python itself is starting
        with ThreadPoolExecutor(1) as thread:
            ready = thread.submit(wait_until_ready, server)
            while not ready.done():
                server.process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
            ready.result()
        assert server.terminate() == 0
