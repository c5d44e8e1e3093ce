"""
Assessments given before: the same bytes, parameters and checkpoint have the same one.

The rule: an assessment is found only under everything that it depends on, and never more bytes are
kept than allowed; the ones not asked for longest go first. Pictures of the clip are not kept:
nothing of what it shows outlasts its request. Lives on one event loop.
"""

from collections import OrderedDict
from dataclasses import dataclass

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


class ResultCache:
    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        """Keeps nothing if `max_bytes` is 0."""
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._texts: OrderedDict[ResultKey, bytes] = OrderedDict()
        self._size = 0

    @property
    def enabled(self) -> bool:
        return self._max_bytes > 0

    def get(self, key: ResultKey) -> Assessment | None:
        text = self._texts.get(key)
        self._metrics.cache_lookups.labels("miss" if text is None else "hit").inc()
        if text is None:
            return None
        self._texts.move_to_end(key)
        return _JSON.validate_json(text)

    def put(self, key: ResultKey, assessment: Assessment) -> None:
        text = _JSON.dump_json(assessment)
        self._size += len(text) + _OVERHEAD
        if (replaced := self._texts.pop(key, None)) is not None:
            self._size -= len(replaced) + _OVERHEAD
        self._texts[key] = text
        while self._size > self._max_bytes:
            _, oldest = self._texts.popitem(last=False)
            self._size -= len(oldest) + _OVERHEAD
        self._metrics.cache_bytes.set(self._size)
