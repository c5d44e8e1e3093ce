"""
Answers given before: the same bytes, parameters and checkpoint have the same answer.

The rule: an answer is found only under everything that it depends on, and never more bytes are
kept than allowed; the ones not asked for longest go first. Answers with pictures of the clip are
not kept: nothing of what it shows outlasts its request. Lives on one event loop.
"""

from collections import OrderedDict
from dataclasses import dataclass

from service.http.wire.score import ScoreAnswer
from service.metrics import Metrics

_OVERHEAD = 1000  # bytes an entry costs beyond its text, about


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """Everything that an answer depends on."""

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
        self._answers: OrderedDict[ResultKey, bytes] = OrderedDict()
        self._size = 0

    @property
    def enabled(self) -> bool:
        return self._max_bytes > 0

    def get(self, key: ResultKey) -> ScoreAnswer | None:
        """The answer as it was given then, with the id and the timings of that request."""
        text = self._answers.get(key)
        self._metrics.cache_lookups.labels("miss" if text is None else "hit").inc()
        if text is None:
            return None
        self._answers.move_to_end(key)
        return ScoreAnswer.model_validate_json(text)

    def put(self, key: ResultKey, answer: ScoreAnswer) -> None:
        text = answer.model_dump_json(exclude_unset=True).encode()
        self._size += len(text) + _OVERHEAD
        if (replaced := self._answers.pop(key, None)) is not None:
            self._size -= len(replaced) + _OVERHEAD
        self._answers[key] = text
        while self._size > self._max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._size -= len(oldest) + _OVERHEAD
        self._metrics.cache_bytes.set(self._size)
