"""
The checkpoints that the store holds, at the start and without a restart.

The rule: a checkpoint that is damaged or cannot be read costs itself, and the others serve, unless
it is the default: no other may answer in its place. New versions are loaded beside what serves, all
or nothing. While they load, and if anything about one is wrong, the old checkpoints go on serving;
a request keeps the checkpoint that it began with. What is loaded already is kept as it is:
published versions never change.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence

from model_store.errors import (
    CheckpointError,
    CheckpointNotFound,
    CheckpointUnreadable,
    ModelStoreError,
)
from model_store.store import Store
from service.errors import CheckpointUnusable, ReloadRefused
from service.machine import give_memory_back
from service.metrics import Metrics
from service.scoring.backend import ScoringBackend
from service.scoring.checkpoints import DEFAULT_NAME, LoadedCheckpoint, LoadedCheckpoints
from service.settings import Settings

log = logging.getLogger(__name__)


class CheckpointLoader:
    def __init__(
        self, store: Store, settings: Settings, backend: ScoringBackend, metrics: Metrics
    ) -> None:
        self._store = store
        self._settings = settings
        self._backend = backend
        self._metrics = metrics

    async def load(self, loaded: LoadedCheckpoints, *, strict: bool = False) -> LoadedCheckpoints:
        """All that the settings ask for and the store has now.

        Raises `model_store`'s errors: for the default checkpoint, and if `strict` for each that
        could be used before, or is new.
        """
        references: Sequence[str] = self._settings.checkpoints
        references = references or await asyncio.to_thread(self._store.names)
        if not references:
            raise CheckpointNotFound(f"no checkpoints in the store, {self._store.root}")
        fresh = LoadedCheckpoints(self._default(references))
        failed: list[Exception] = []
        side_by_side = (self._loaded(reference, loaded) for reference in references)
        for exact, outcome in await asyncio.gather(*side_by_side):
            if isinstance(outcome, LoadedCheckpoint):
                fresh.add(outcome)
            elif strict and exact not in loaded.unusable:
                raise outcome
            else:
                log.error("%s cannot be used: %s", exact, outcome)
                fresh.unusable[exact] = public_reason(outcome)
                failed.append(outcome)
        try:
            fresh.get(fresh.default)
        except CheckpointUnusable as error:
            raise failed[list(fresh.unusable).index(error.reference)] from error
        self._report(fresh)
        give_memory_back()
        return fresh

    def _default(self, references: Sequence[str]) -> str:
        """What a request that names none gets: by the settings and not by what can be loaded."""
        if self._settings.default_checkpoint is not None:
            return self._settings.default_checkpoint
        names = [reference.partition("@")[0] for reference in references]
        return DEFAULT_NAME if DEFAULT_NAME in names else min(names)

    async def _loaded(
        self, reference: str, loaded: LoadedCheckpoints
    ) -> tuple[str, LoadedCheckpoint | ModelStoreError | OSError]:
        """`name@version`, or the reference if not even that is known; and what it is loaded as, or
        why it cannot be.

        Raises CheckpointNotFound: the settings ask for what there is not.
        """
        exact = reference
        try:
            name, version = await asyncio.to_thread(self._store.resolve, reference)
            exact = f"{name}@{version}"
            current = version == await asyncio.to_thread(self._store.current, name)
            known = [each for each in loaded.all() if each.reference == exact]
            checkpoint = known[0] if known else await self._backend.load(exact)
        except CheckpointNotFound:
            raise
        except (ModelStoreError, OSError) as error:
            return exact, error
        return exact, dataclasses.replace(checkpoint, current=current)

    async def reload(self, loaded: LoadedCheckpoints) -> LoadedCheckpoints:
        """`load` where a failure changes nothing.   Raises ReloadRefused."""
        try:
            fresh = await self.load(loaded, strict=True)
        except Exception as error:  # whatever is wrong with a new version, the old ones serve
            log.error("the checkpoints stay as they are", exc_info=True)
            self._metrics.reloads.labels("refused").inc()
            raise ReloadRefused(public_reason(error)) from error
        self._metrics.reloads.labels("done").inc()
        log.info("reloaded", extra={"checkpoints": fresh.references()})
        return fresh

    def _report(self, fresh: LoadedCheckpoints) -> None:
        self._metrics.engine_fallbacks.set(sum(each.fell_back for each in fresh.all()))
        self._metrics.model_info.clear()
        for each in fresh.all():
            self._metrics.expect_scores(each.reference)
            self._metrics.model_info.labels(
                each.name, str(each.card.version), each.sha256, each.engine
            ).set(1)


def public_reason(error: Exception) -> str:
    """What is wrong with a checkpoint, without paths of this machine."""
    if isinstance(error, CheckpointUnreadable):
        return f"a file or folder of it cannot be read: {error.reason}"
    if isinstance(error, CheckpointError):
        return str(error)
    return "it cannot run here; the log has the reason"
