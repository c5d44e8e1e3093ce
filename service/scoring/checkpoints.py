"""The checkpoints that the service has loaded, verified, and is ready to score with."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from model_store.card import Card
from model_store.errors import CheckpointNotFound
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from model_store.store import Store
from service.errors import CheckpointUnusable
from service.http.wire.score import (
    CheckpointDetail,
    CheckpointSummary,
    CheckpointUsed,
    UnusableCheckpoint,
)
from service.settings import Settings

T = TypeVar("T")
USUAL = "diving"  # the default checkpoint, where it is loaded
log = logging.getLogger(__name__)


class Described(Protocol):
    """What the service tells of a checkpoint: `model_store.checkpoint.Checkpoint`, say."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def card(self) -> Card: ...
    @property
    def spec(self) -> ClipSpec: ...


class OnDevice(Protocol):
    """Runs something on the thread that owns the device."""

    def __call__(self, function: Callable[[], T], /) -> Future[T]: ...


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCheckpoint:
    checkpoint: Described
    engine: str
    scorer: Scorer | None
    """None where another process scores."""
    golden_error: float
    """Points that the golden clip was off."""
    current: bool = False
    """Whether the bare name meant this version when the store was last looked at."""

    @property
    def name(self) -> str:
        return self.checkpoint.name

    @property
    def reference(self) -> str:
        return f"{self.checkpoint.name}@{self.checkpoint.version}"

    def used(self) -> CheckpointUsed:
        return CheckpointUsed(
            name=self.checkpoint.name,
            version=self.checkpoint.version,
            sha256=self.checkpoint.sha256,
            trained_on=self.checkpoint.card.data.trained_on,
            engine=self.engine,
        )

    def summary(self) -> CheckpointSummary:
        return CheckpointSummary(**self._summary())

    def detail(self) -> CheckpointDetail:
        card = self.checkpoint.card
        return CheckpointDetail(
            **self._summary(),
            description=card.data.description,
            licence=card.data.licence,
            metrics=card.metrics,
            splits=card.splits,
            judged_mean=card.data.judged_mean,
            judged_deviation=card.data.judged_deviation,
            training=card.training.model_dump(),
            calibrated=card.calibration is not None,
            spec=card.spec.to_json(),
            network=card.network.to_json(),
            versions=card.versions,
            golden_error=self.golden_error,
        )

    def _summary(self) -> dict[str, Any]:
        card, spec = self.checkpoint.card, self.checkpoint.spec
        return {
            **self.used().model_dump(),
            "current": self.current,
            "action": card.action,
            "created": card.created,
            "target": card.network.target,
            "difficulty_rule": spec.difficulty_rule,
            "score_range": spec.score_range,
            "seconds": float(spec.frames / spec.fps),
            "stages": list(spec.stages),
            "stage_of_fragment": card.stage_of_fragment,
        }


class LoadedCheckpoints:
    """By name, which means the current version, and by name@version; and what cannot be loaded."""

    def __init__(self, default: str = USUAL) -> None:
        self._by_reference: dict[str, LoadedCheckpoint] = {}
        self.default = default
        """What a request that names none gets."""
        self.unusable: dict[str, str] = {}
        """By `name@version`, or the name where not even the version is known: what is wrong, in
        words that anybody may read."""

    def add(self, loaded: LoadedCheckpoint) -> None:
        self._by_reference[loaded.reference] = loaded
        if loaded.current or loaded.name not in self._by_reference:
            self._by_reference[loaded.name] = loaded

    def get(self, reference: str) -> LoadedCheckpoint:
        """Raises CheckpointNotFound, CheckpointUnusable."""
        loaded = self._by_reference.get(reference)
        if loaded is None or not loaded.current:  # another version must not answer to the name
            for each in self.unusable:
                if reference in (each, each.partition("@")[0]):
                    raise CheckpointUnusable(each)
        if loaded is None:
            raise CheckpointNotFound(f"unknown; loaded are {', '.join(sorted(self.references()))}")
        return loaded

    def references(self) -> list[str]:
        return [loaded.reference for loaded in self.all()]

    def broken(self) -> list[UnusableCheckpoint]:
        return [
            UnusableCheckpoint(reference=reference, reason=reason)
            for reference, reason in sorted(self.unusable.items())
        ]

    def all(self) -> list[LoadedCheckpoint]:
        unique = {loaded.reference: loaded for loaded in self._by_reference.values()}
        return [unique[reference] for reference in sorted(unique)]


async def load(
    reference: str, store: Store, settings: Settings, on_device: OnDevice
) -> LoadedCheckpoint:
    """Verify, convert for the engine, warm up, and score the golden clip.

    A GPU is left to its thread. Elsewhere a thread of its own does all this, so that
    clips for other checkpoints are scored meanwhile. Raises `model_store`'s errors.
    """
    checkpoint = await asyncio.to_thread(store.load, reference)
    has_gpu = settings.engine in ("auto", "cuda") and torch.cuda.is_available()
    thread = ThreadPoolExecutor(1, thread_name_prefix="loading")

    async def apart(function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(
            on_device(function) if has_gpu else thread.submit(function)
        )

    try:
        scorer = await apart(
            lambda: Scorer(
                checkpoint, settings.engine, cache=settings.cache, threads=settings.engine_threads
            )
        )
        spec = checkpoint.spec
        blank = np.zeros((spec.frames, spec.height, spec.width, 3), np.uint8)
        for clips in scorer.engine.runtime.batch_sizes(settings.batch_clips):
            await apart(partial(scorer.score, [blank] * clips))
        golden_error = await apart(scorer.check_golden)
    finally:
        thread.shutdown(wait=False)
    log.info(
        "loaded %s@%d on %s, golden clip off by %.4f points",
        checkpoint.name,
        checkpoint.version,
        scorer.engine.name,
        golden_error,
    )
    return LoadedCheckpoint(checkpoint, scorer.engine.name, scorer, golden_error)
