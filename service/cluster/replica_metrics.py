"""
One page of metrics for all replicas of a cluster: each series with the name of its replica.

Prometheus then sees what it would see with one target a replica, so no counter seems to decrease
when a replica stops.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from ray import serve


def of_this_replica(registry: CollectorRegistry) -> list[Metric]:
    context = serve.get_replica_context()
    name = f"{context.deployment}#{context.replica_id.unique_id}"
    families = list(registry.collect())
    for family in families:
        family.samples = [s._replace(labels=s.labels | {"replica": name}) for s in family.samples]
    return families


def exposition(replicas: Iterable[list[Metric]]) -> bytes:
    """The metrics of several replicas, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Merged(replicas))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, replicas: Iterable[list[Metric]]) -> None:
        self._families: dict[str, Metric] = {}
        for family in (family for families in replicas for family in families):
            known = self._families.setdefault(family.name, family)
            if known is not family:
                known.samples += family.samples

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()
