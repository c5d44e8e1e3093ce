"""The manifests of docker/kubernetes: what Kubernetes and KEDA accept, what the service needs."""

import re
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict
from starlette.routing import Route

from service.http.routes import router
from service.metrics import Metrics
from service.settings import DECODERS_SHARE, Settings

FOLDER = Path(__file__).parent.parent / "docker/kubernetes"
MANIFESTS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yaml")}
POD = MANIFESTS["deployment"]["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]
SCALED = MANIFESTS["autoscaling"]["spec"]
CORE = ("deployment", "disruption", "network", "service")
VERSIONS = ("1.32", "1.37")


def test_memory_is_enough_for_the_decoders_that_the_service_starts_in_it() -> None:
    """The rest is for the engine; uploads lie on the node's disk."""
    limit = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    decoder: int = Settings.model_fields["decode_memory_bytes"].default
    assert limit - DECODERS_SHARE * limit // decoder * decoder > 2 << 30
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert volumes["uploads"]["emptyDir"].get("medium") != "Memory"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PrometheusTrigger(Strict):
    """KEDA's `prometheus` scaler: all values are text."""

    serverAddress: str
    query: str
    threshold: str
    ignoreNullValues: Literal["true", "false"]


class Trigger(Strict):
    type: Literal["prometheus"]
    metricType: Literal["AverageValue", "Value"]
    metadata: PrometheusTrigger


class Target(Strict):
    name: str


class Fallback(Strict):
    failureThreshold: int
    replicas: int


class Autoscaler(Strict):
    behavior: dict[str, Any]


class Advanced(Strict):
    horizontalPodAutoscalerConfig: Autoscaler


class ScaledObjectSpec(Strict):
    """Those fields of `keda.sh/v1alpha1` ScaledObject, KEDA 2.x, that are used here."""

    scaleTargetRef: Target
    minReplicaCount: int
    maxReplicaCount: int
    pollingInterval: int
    fallback: Fallback
    advanced: Advanced
    triggers: list[Trigger]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CORE)
def test_kubernetes_accepts_it(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_the_check_finds_a_wrong_name() -> None:
    wrong = yaml.safe_load((FOLDER / "deployment.yaml").read_text())
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_keda_accepts_it(version: str) -> None:
    assert MANIFESTS["autoscaling"]["apiVersion"] == "keda.sh/v1alpha1"
    assert MANIFESTS["autoscaling"]["kind"] == "ScaledObject"
    spec = ScaledObjectSpec.model_validate(SCALED)
    made_by_keda = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            "maxReplicas": spec.maxReplicaCount,
            "behavior": spec.advanced.horizontalPodAutoscalerConfig.behavior,
        },
    }
    kubernetes_validate.validate(made_by_keda, version, strict=True)


def test_it_scales_on_metrics_of_the_service() -> None:
    [trigger] = SCALED["triggers"]
    exported = {family.name for family in Metrics().registry.collect()}
    asked = set(re.findall(r"\bscore_\w+", trigger["metadata"]["query"]))
    assert asked
    assert asked <= exported
    assert 0 < int(trigger["metadata"]["threshold"]) < Settings().queue_fragments


def test_everything_means_the_same_pods() -> None:
    labels = POD["metadata"]["labels"]
    name = MANIFESTS["deployment"]["metadata"]["name"]
    assert SCALED["scaleTargetRef"]["name"] == name
    for selector in (
        MANIFESTS["deployment"]["spec"]["selector"]["matchLabels"],
        MANIFESTS["disruption"]["spec"]["selector"]["matchLabels"],
        MANIFESTS["network"]["spec"]["podSelector"]["matchLabels"],
        MANIFESTS["service"]["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
    [port] = MANIFESTS["service"]["spec"]["ports"]
    [container_port] = CONTAINER["ports"]
    assert port["targetPort"] == container_port["name"]
    others = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(MANIFESTS["kustomization"]["resources"]) == others


def test_probes_ask_what_there_is() -> None:
    paths = {route.path for route in router.routes if isinstance(route, Route)}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["path"] in paths
    assert POD["metadata"]["annotations"]["prometheus.io/path"] in paths


def test_a_pod_may_finish_what_it_has() -> None:
    environment = {each["name"]: each.get("value") for each in CONTAINER["env"]}
    known = {f"SCORING_{name.upper()}" for name in Settings.model_fields}
    assert environment.keys() <= known
    pause = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(environment["SCORING_DRAIN_S"])
    assert POD["spec"]["terminationGracePeriodSeconds"] > pause + drain


def test_a_pod_can_do_little() -> None:
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert MANIFESTS["network"]["spec"]["egress"] == []
    [uploads] = [each for each in POD["spec"]["volumes"] if each["name"] == "uploads"]
    size = int(uploads["emptyDir"]["sizeLimit"].removesuffix("Gi")) << 30
    assert size > Settings().max_inflight_bytes
