"""
Assessments given before: the same bytes, parameters and checkpoint have the same one.

The rule: an assessment is found only under everything that it depends on, and never more bytes are
kept than allowed; the ones not asked for longest go first. Pictures of the clip are not kept:
nothing of what it shows outlasts its request. Lives on one event loop.
"""

from contextlib import suppress
from dataclasses import dataclass

from cachetools import LRUCache
from pydantic import TypeAdapter

from model_store.assessment import Assessment
from service.metrics import Metrics

_OVERHEAD = 1000  # bytes an entry costs beyond its text, about
_JSON = TypeAdapter(Assessment)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """Everything that an assessment depends on."""

    clip_sha256: str
    checkpoint_sha256: str
    engine: str
    difficulty: float | None
    start_s: float | None
    end_s: float | None
    find: bool


class ResultCache:
    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        """Keeps nothing if `max_bytes` is 0."""
        self._metrics = metrics
        self._texts: LRUCache[ResultKey, bytes] = LRUCache(
            max_bytes, getsizeof=lambda text: len(text) + _OVERHEAD
        )

    @property
    def enabled(self) -> bool:
        return self._texts.maxsize > 0

    def get(self, key: ResultKey) -> Assessment | None:
        text = self._texts.get(key)
        self._metrics.cache_lookups.labels("miss" if text is None else "hit").inc()
        return None if text is None else _JSON.validate_json(text)

    def put(self, key: ResultKey, assessment: Assessment) -> None:
        with suppress(ValueError):  # an assessment that is larger than the cache is not kept
            self._texts[key] = _JSON.dump_json(assessment)
        self._metrics.cache_bytes.set(self._texts.currsize)
