"""What must be the same in the image, its lock, the compose files and the service."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from model_store.store import Store
from service.server import unknown_settings
from service.settings import DECODERS_SHARE, Settings
from tests.checkpoints import tiny_store
from tests.servers import LiveServer, live_server

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.services.yml").read_text())["services"]
GPU = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CPU = yaml.safe_load((ROOT / "docker" / "compose.cpu.yml").read_text())
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
VARIANTS = ("gpu", "cpu")
SERVICE_BYTES = 1200 << 20  # the service, two checkpoints on a CPU and its batches: 0.7 GB measured


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert all("127.0.0.1" in port for port in service.get("ports", []))


def test_the_scorer_has_longer_to_stop_than_it_takes() -> None:
    grace_s = int(SERVICES["scorer"]["stop_grace_period"].removesuffix("s"))
    fields = Settings.model_fields
    assert grace_s > fields["drain_s"].default + fields["drain_delay_s"].default


def test_its_settings_exist() -> None:
    assert not unknown_settings(SERVICES["scorer"]["environment"])


def test_uploads_fit_into_the_temporary_folder() -> None:
    [mount] = SERVICES["scorer"]["tmpfs"]
    megabytes = int(re.search(r"size=(\d+)m", mount)[1])  # type: ignore[index]
    assert megabytes << 20 > SERVICES["scorer"]["environment"]["SCORING_MAX_INFLIGHT_BYTES"]


def test_memory_is_enough_for_the_decoders_that_the_service_starts_in_it() -> None:
    """Of the worst case, decoders that all use all they may, the rest is what the service takes."""
    scorer = SERVICES["scorer"]
    [mount] = scorer["tmpfs"]
    uploads = int(re.search(r"size=(\d+)m", mount)[1]) << 20  # type: ignore[index]
    limit = int(re.fullmatch(r"\$\{MEMORY:-(\d+)g\}", scorer["mem_limit"])[1]) << 30  # type: ignore[index]
    decoder = Settings.model_fields["decode_memory_bytes"].default
    decoders = DECODERS_SHARE * limit // decoder * decoder
    assert limit - uploads - decoders > SERVICE_BYTES


def test_machines_with_and_without_a_gpu_differ_in_the_gpu_alone() -> None:
    def without_variant(file: dict[str, Any]) -> dict[str, Any]:
        services = {}
        for name, service in file["services"].items():
            own = {"image", "build", "deploy", "environment"}
            kept = {key: service[key] for key in service.keys() - own}
            kept["extends"] = service["extends"]["service"]
            services[name] = kept
        return services

    assert without_variant(GPU) == without_variant(CPU)
    assert GPU["services"].keys() == SERVICES.keys()
    assert "deploy" not in CPU["services"]["scorer"]
    assert GPU["services"]["scorer"]["environment"] == {"SCORING_ENGINE": "cuda"}
    assert "environment" not in CPU["services"]["scorer"]
    for file, variant in ((GPU, "gpu"), (CPU, "cpu")):
        for name in ("scorer", "store"):
            assert file["services"][name]["build"]["args"]["VARIANT"] == variant
            assert variant in file["services"][name]["image"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_lock_has_what_the_project_needs(variant: str) -> None:
    text = (ROOT / "docker" / f"requirements.{variant}.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:", text, re.MULTILINE))
    assert len(locked) == len(re.findall(r"^\w", text, re.MULTILINE)), "one has no hash"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["build-system"]["requires"]
    for line in [*project["project"]["dependencies"], *build]:
        needed = Requirement(line)
        assert needed.specifier.contains(locked[canonicalize_name(needed.name)]), needed
    assert locked["torch"].endswith("+cpu") == (variant == "cpu")


@pytest.mark.parametrize(
    ("operator", "starts"),
    [
        ({}, True),
        ({"PUBLISH": "127.0.0.1:9000"}, True),
        ({"PUBLISH": "[::1]:9000"}, True),
        ({"PUBLISH": "0.0.0.0:8000"}, False),
        ({"PUBLISH": "8000"}, False),
        ({"PUBLISH": "[::]:8000"}, False),
        ({"PUBLISH": "192.0.2.1:8000"}, False),
        ({"PUBLISH": "0.0.0.0:8000", "SCORING_API_KEYS": "k"}, True),
        ({"PUBLISH": "0.0.0.0:8000", "SCORING_ALLOW_ANONYMOUS": "true"}, True),
    ],
)
def test_strangers_get_in_only_by_the_operators_word(
    store: Store, tmp_path: Path, operator: dict[str, str], starts: bool
) -> None:
    environment = {
        name: filled(str(value), operator)
        for name, value in SERVICES["scorer"]["environment"].items()
        if name != "SCORING_STORE"
    }
    with live_server(
        store.root, tmp_path, ready=starts, host="0.0.0.0", environment=environment
    ) as server:
        assert starts or server.process.wait(timeout=60) == 2
        log = server.log.read_text()
    assert ("SCORING_API_KEYS: need a key" in log) is not starts
    assert ("no key is needed" in log) is ("SCORING_ALLOW_ANONYMOUS" in operator)


def filled(value: str, variables: dict[str, str]) -> str:
    """As Compose does it: `${NAME:-default}`."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: variables.get(m[1]) or m[2], value)


def test_the_health_check_goes_through_no_proxy(store: Store, tmp_path: Path) -> None:
    """Docker gives containers the proxy of its own configuration."""
    with live_server(store.root, tmp_path) as server:
        check_through_proxies(server)


def check_through_proxies(local_server: LiveServer) -> None:
    [line] = re.findall(r"^HEALTHCHECK .*? CMD (.*)$", DOCKERFILE, re.MULTILINE)
    program, *arguments = json.loads(line)
    assert program == "python"
    nowhere = "http://127.0.0.1:9"  # refuses
    proxies = {"http_proxy": nowhere, "HTTP_PROXY": nowhere, "all_proxy": nowhere}
    environment = {**os.environ, **proxies, "no_proxy": "", "SCORING_PORT": str(local_server.port)}
    command = [sys.executable, *arguments]
    assert subprocess.run(command, env=environment, timeout=30).returncode == 0
    environment["SCORING_PORT"] = "9"
    assert subprocess.run(command, env=environment, timeout=30, capture_output=True).returncode != 0
