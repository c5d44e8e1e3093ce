"""What only a cluster has: replicas that are lost, that come and go, and one page for all."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import httpx
import numpy as np
import pytest

from model_store.network_spec import COMPACT
from model_store.store import Store
from service.errors import EngineDead
from service.metrics import Metrics
from service.scoring.local_backend import LocalBackend
from service.settings import ClusterSettings
from tests.checkpoints import publish_tiny, tiny_card, tiny_network, tiny_spec, tiny_store
from tests.clips import clip_bytes
from tests.clusters import Cluster, command_of, live_cluster
from tests.servers import LiveServer, children_of, until

KEY = {"authorization": "Bearer a-key"}


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """`service.cluster` in this process; Ray's own use of pydantic is behind the times."""
    with warnings.catch_warnings(action="ignore"):
        import service.cluster

        return service.cluster


@pytest.mark.parametrize("fields", [{}, {"action": "vault", "difficulty": "5.8"}, {"end_s": "2"}])
def test_the_answer_is_that_of_one_process(
    cluster: Cluster, local_server: LiveServer, fields: dict[str, str]
) -> None:
    clip = clip_bytes(frames=120)
    one, other = (each.score(clip, **fields).json() for each in (cluster, local_server))
    assert one["score"] == pytest.approx(other["score"], abs=1e-3)
    assert one["baseline"] == pytest.approx(other["baseline"], abs=1e-3)
    for mine, theirs in zip(one["fragments"], other["fragments"], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-3)
    for name in ("execution", "warnings", "checkpoint", "clip", "needs_review", "review_reasons"):
        assert one[name] == other[name]


def test_uploads_are_decoded_in_confined_processes(cluster: Cluster) -> None:
    cluster.score(clip_bytes())
    [replica] = cluster.pids("decode")
    decoders = [pid for pid in children_of(replica) if b"service.decode.worker" in command_of(pid)]
    assert len(decoders) == 2
    for pid in decoders:
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status
        assert "NoNewPrivs:\t1" in status


def test_metrics_are_those_of_all_replicas(cluster: Cluster) -> None:
    before = cluster.metric("score_fragments_total")
    assert cluster.score(clip_bytes()).status_code == 200
    assert cluster.metric("score_fragments_total") == before + 9
    assert len(cluster.replicas("decode")) == 1
    assert len(cluster.replicas("score")) == 2
    text = httpx.get(f"{cluster.url}/metrics").text
    assert text.count("# TYPE score_fragments_total counter") == 1
    assert text.count("score_model_info{") == 6  # two checkpoints, three replicas


def test_no_log_has_what_a_client_sent(cluster: Cluster) -> None:
    httpx.post(
        f"{cluster.url}/score",
        files={"clip": ("name-of-an-athlete.mp4", b"no video")},
        params={"secret": "in-the-query"},
    )
    httpx.get(f"{cluster.url}/somewhere/in-the-path")
    time.sleep(1.0)
    logs = [path for path in cluster.folder.rglob("*.log") if path.is_file()]
    assert any("replica_default_decode" in path.name for path in logs)
    for path in logs:
        text = path.read_text(errors="replace")
        for secret in ("athlete", "in-the-query", "in-the-path"):
            assert secret not in text, path


def test_more_than_it_takes_is_429_and_the_rest_is_scored(cluster: Cluster) -> None:
    """40 clients at once, room for 16 dives; the clips are large, so that they wait."""
    clip = clip_bytes(height=480, width=640)
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda _: cluster.score(clip), range(40)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in refused:
        assert answer.headers["content-type"] == "application/problem+json"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["retry_after_s"] == int(answer.headers["retry-after"])


def test_a_lost_score_replica_costs_no_request(cluster: Cluster) -> None:
    clips = [clip_bytes(frames=60, seed=seed) for seed in range(4)]
    alone = [cluster.score(clip).json()["score"] for clip in clips]
    retries = cluster.metric("score_retries_total")
    for _ in range(6):  # it may have had nothing to do at that moment
        until(lambda: len(cluster.pids("score")) == 2)
        lost = cluster.pids("score")[0]
        with ThreadPoolExecutor(8) as threads:
            tries = [threads.submit(cluster.score, clips[i % 4]) for i in range(48)]
            until(lambda: sum(one.done() for one in tries) > 8)  # noqa: B023 it is over then
            os.kill(lost, signal.SIGKILL)
            answers = [one.result() for one in tries]
        assert {answer.status_code for answer in answers} == {200}
        for i, answer in enumerate(answers):
            assert answer.json()["score"] == pytest.approx(alone[i % 4], abs=1e-3)
        if cluster.metric("score_retries_total") > retries:
            return
    pytest.fail("no clip was ever sent a second time")


def test_strangers_need_a_key_or_the_operators_word(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="SCORING_API_KEYS"):
        module.app(ClusterSettings())
    assert module.app(ClusterSettings(allow_anonymous=True))


def test_a_score_replica_whose_engine_hangs_fails_its_check(
    module: ModuleType, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray then replaces it; a decode replica sends its clips to another one."""
    monkeypatch.setattr("service.scoring.local_backend.CALL_LIMIT_LEAST_S", 0.5)
    release = threading.Event()
    settings = ClusterSettings(deadline_s=0.1)
    backend = LocalBackend(settings, store, metrics=Metrics())
    backend.start()
    replica = module.ScoreReplica.__new__(module.ScoreReplica)
    replica._backend = backend
    replica.check_health()
    scorer = Mock(score=lambda clips: release.wait(60))
    waiting = backend._batcher.submit(scorer, np.zeros((1, 2, 2, 3), np.uint8), 1)
    with pytest.raises(EngineDead):
        waiting.result(10)
    with pytest.raises(EngineDead):
        replica.check_health()
    backend.stop()
    release.set()


def test_ray_reports_no_usage(module: ModuleType) -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_decode_replicas_are_for_clips_that_are_to_be_decoded(module: ModuleType) -> None:
    from ray.serve.config import AutoscalingConfig, AutoscalingContext

    def wanted(**decoding: float) -> float:
        make: Any = AutoscalingContext  # the names of replicas stand for their ids
        context = make(
            deployment_id=None,
            deployment_name="decode",
            app_name="default",
            current_num_replicas=len(decoding),
            target_num_replicas=len(decoding),
            running_replicas=list(decoding),
            total_num_requests=1000.0,  # those that wait to be scored among them
            total_queued_requests=0.0,
            aggregated_metrics={module.DECODING: decoding} if decoding else None,
            raw_metrics=None,
            capacity_adjusted_min_replicas=1,
            capacity_adjusted_max_replicas=9,
            policy_state={},
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=None,
            config=AutoscalingConfig(max_replicas=9, target_ongoing_requests=2),
        )
        return float(module.by_decoding(context)[0])

    assert wanted() == 0
    assert wanted(a=0.0) == 0
    assert wanted(a=5.0, b=1.0) == 3


@contextmanager
def kept_busy(cluster: Cluster, clip: bytes, clients: int, **fields: str) -> Iterator[None]:
    """So many clients that ask again and again; each gets its answer, or a 429."""
    over = threading.Event()
    statuses: set[int] = set()

    def ask() -> None:
        while not over.is_set():
            files = {"clip": clip}
            url = f"{cluster.url}/score"
            answer = httpx.post(url, files=files, data=fields, headers=KEY, timeout=120)
            statuses.add(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert statuses <= {200, 429}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_kind_of_replica_scales_on_its_own_queue_and_reloads(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = tiny_store(tmp_path_factory.mktemp("own"))
    spec = tiny_spec("vault").with_size((64, 64), (64, 64))
    store.publish(
        tiny_card(spec, COMPACT, version=2),
        tiny_network(spec, COMPACT),
        golden_clip=clip_bytes(frames=spec.frames, height=48, width=64),
        readme="Random weights, and many of them.\n",
    )
    settings = {
        "max_decode_replicas": 2,
        "min_score_replicas": 1,
        "decode_workers": 1,
        "batch_clips": 1,
        "scale_up_s": 2,
        "scale_down_s": 4,
        "api_keys": "a-key",
    }
    folder = tmp_path_factory.mktemp("r")
    with live_cluster(store.root, folder, **settings) as cluster:

        def replicas() -> tuple[int, int]:
            return len(cluster.replicas("decode")), len(cluster.replicas("score"))

        assert replicas() == (1, 1)
        with kept_busy(cluster, clip_bytes(height=720, width=1280), 8, action="diving"):
            until(lambda: replicas() == (2, 1))  # long to decode, quick to score
        until(lambda: replicas() == (1, 1))
        with kept_busy(cluster, clip_bytes(frames=20, height=48, width=64), 8, action="vault"):
            until(lambda: replicas() == (1, 2))  # the other way round
        until(lambda: replicas() == (1, 1))
        reload_everywhere(cluster, store)


def reload_everywhere(cluster: Cluster, store: Store) -> None:
    def version() -> int:
        clip = clip_bytes(frames=40)
        answer = httpx.post(f"{cluster.url}/score", files={"clip": clip}, headers=KEY, timeout=120)
        number: int = answer.json()["checkpoint"]["version"]
        return number

    def reload() -> httpx.Response:
        return httpx.post(f"{cluster.url}/admin/reload", headers=KEY, timeout=240)

    assert version() == 1
    publish_tiny(store, "diving", seed=1)
    assert version() == 1
    answer = reload()
    assert (answer.json()["loaded"], answer.json()["released"]) == (["diving@2"], ["diving@1"])
    assert version() == 2
    publish_tiny(store, "diving", seed=2)
    (store.path("diving") / "card.json").write_text("{}")
    refused = reload()
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/reload-refused"
    assert str(store.root) not in refused.text
    assert version() == 2
