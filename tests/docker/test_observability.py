"""The alerts and the dashboard against a real Prometheus that scrapes a real service."""

import itertools
import json
import math
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
import yaml

from model_store.store import Store
from service.metrics import Metrics
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server

DOCKER = Path(__file__).parents[2] / "docker"
CONFIGURATION = DOCKER / "prometheus"
DASHBOARD = json.loads((DOCKER / "grafana" / "dashboards" / "fragment-scorer.json").read_text())
THRESHOLD = re.compile(r" (==|!=|<=|>=|<|>) [\d.]+")
GPU_ONLY = "score_gpu_memory_bytes"


def rules() -> list[dict[str, str]]:
    files = (CONFIGURATION / "recorded.yml", CONFIGURATION / "alerts.yml")
    groups = itertools.chain.from_iterable(yaml.safe_load(f.read_text())["groups"] for f in files)
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            query: str = target["expr"]
            yield query.replace("$__rate_interval", "1m").replace("$checkpoint", ".*")


def test_configuration_and_rules_are_valid(promtool: str) -> None:
    subprocess.run([promtool, "check", "config", CONFIGURATION / "prometheus.yml"], check=True)


def test_each_alert_comes_when_it_should_and_not_before(promtool: str) -> None:
    subprocess.run([promtool, "test", "rules", CONFIGURATION / "alerts_test.yml"], check=True)
    tested = yaml.safe_load((CONFIGURATION / "alerts_test.yml").read_text())["tests"]
    came = {
        case["alertname"]
        for test in tested
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert came == {rule["alert"] for rule in rules() if "alert" in rule}


def test_every_metric_is_shown_or_watched() -> None:
    metrics = Metrics()
    metrics.watch_device_memory(lambda: (0, 0))
    asked = " ".join([*dashboard_queries(), *(rule["expr"] for rule in rules())])
    families = {family.name for family in metrics.registry.collect()}
    missing = {name for name in families if name.startswith("score_") and name not in asked}
    assert not missing


def test_every_query_has_data(prometheus: str, tmp_path: Path) -> None:
    """Each query of the dashboard, each recorded rule, each alert without its threshold."""
    waiting = {THRESHOLD.sub("", rule["expr"]) for rule in rules()} | set(dashboard_queries())
    waiting |= {rule["record"] for rule in rules() if "record" in rule}
    if not torch.cuda.is_available():
        waiting = {query for query in waiting if GPU_ONLY not in query}
    store = Store(tmp_path / "store")
    publish_tiny(store, calibrated=True)  # so that familiarity is measured
    with (
        live_server(store.root, tmp_path, result_cache_bytes=1 << 20) as server,
        scraping(prometheus, server, tmp_path) as api,
    ):
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 90
        scored = 0
        while waiting:
            assert time.monotonic() < deadline, waiting
            scored += ask_for_everything(server, seed=scored)
            time.sleep(1)
            waiting = {query for query in waiting if not has_data(api, query)}
        while (counted := value(api, 'score_requests_total{outcome="ok"}')) != scored:
            assert time.monotonic() < deadline, (counted, scored)
            time.sleep(0.2)
        assert not ask(api, 'ALERTS{alertstate="firing"}')
        groups = api.get("/api/v1/rules").json()["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}


def ask_for_everything(server: LiveServer, seed: int) -> int:
    """A clip, again the same, and something that is none; how many are scored."""
    clip = clip_bytes(frames=100, seed=seed)
    answers = [server.score(clip), server.score(clip), server.score(b"no video")]
    assert [answer.status_code for answer in answers] == [200, 200, 415]
    return 2


@contextmanager
def scraping(prometheus: str, server: LiveServer, folder: Path) -> Iterator[httpx.Client]:
    """Prometheus with our configuration, but for the address and the times; its API."""
    configuration = folder / "prometheus"
    shutil.copytree(CONFIGURATION, configuration)
    change = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    edit(configuration / "prometheus.yml", lambda it: it["global"].update(change))
    edit(
        configuration / "prometheus.yml",
        lambda it: it["scrape_configs"][0]["static_configs"][0].update(
            targets=[f"127.0.0.1:{server.port}"]
        ),
    )
    edit(
        configuration / "recorded.yml",
        lambda it: [group.pop("interval", None) for group in it["groups"]],
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            prometheus,
            f"--config.file={configuration / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
    )
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=30) as api:
            while not is_ready(api):
                assert process.poll() is None
                time.sleep(0.1)
            yield api
    finally:
        process.terminate()
        process.wait(30)


def edit(path: Path, change: Any) -> None:
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def is_ready(api: httpx.Client) -> bool:
    try:
        return api.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def ask(api: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = api.get("/api/v1/query", params={"query": query})
    assert answer.status_code == 200, f"{query}: {answer.text}"
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


def has_data(api: httpx.Client, query: str) -> bool:
    return any(math.isfinite(float(sample["value"][1])) for sample in ask(api, query))


def value(api: httpx.Client, query: str) -> float:
    [sample] = ask(api, query)
    return float(sample["value"][1])
