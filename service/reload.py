"""
New versions without a restart: what the store holds now is loaded beside what serves.

The rule: all or nothing. While it loads, and if anything about it is wrong, the old checkpoints
go on serving; a request keeps the checkpoint that it began with. What is loaded already is kept
as it is: published versions never change.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence

from model_store.errors import CheckpointError, CheckpointNotFound
from model_store.store import Store
from service.batcher import ClipBatcher
from service.checkpoints import LoadedCheckpoints
from service.errors import ReloadRefused
from service.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)


class CheckpointLoader:
    def __init__(
        self, store: Store, settings: Settings, batcher: ClipBatcher, metrics: Metrics
    ) -> None:
        self._store = store
        self._settings = settings
        self._batcher = batcher
        self._metrics = metrics

    async def load(self, loaded: LoadedCheckpoints) -> LoadedCheckpoints:
        """All that the settings ask for and the store has now.   Raises `model_store`'s errors."""
        references: Sequence[str] = self._settings.checkpoints
        references = references or await asyncio.to_thread(self._store.names)
        if not references:
            raise CheckpointNotFound("the store has no checkpoints")
        known = {each.reference: each for each in loaded.all()}
        fresh = LoadedCheckpoints(self._settings.default_checkpoint)
        for reference in references:
            name, version = await asyncio.to_thread(self._store.resolve, reference)
            current = version == await asyncio.to_thread(self._store.current, name)
            one = known.get(f"{name}@{version}")
            if one is None:
                reference = f"{name}@{version}"
                one = await self._batcher.load(reference, self._store, self._settings)
            fresh.add(dataclasses.replace(one, current=current))
        if self._settings.default_checkpoint is not None:
            fresh.get(self._settings.default_checkpoint)
        self._tell(fresh)
        return fresh

    async def reload(self, loaded: LoadedCheckpoints) -> LoadedCheckpoints:
        """`load` where a failure changes nothing.   Raises ReloadRefused."""
        try:
            fresh = await self.load(loaded)
        except Exception as error:  # whatever is wrong with a new version, the old ones serve
            log.error("the checkpoints stay as they are", exc_info=True)
            self._metrics.reloads.labels("refused").inc()
            told = isinstance(error, CheckpointError)
            raise ReloadRefused(
                str(error) if told else "a new version cannot run here; the log has the reason"
            ) from error
        self._metrics.reloads.labels("done").inc()
        log.info("reloaded", extra={"checkpoints": fresh.references()})
        return fresh

    def _tell(self, fresh: LoadedCheckpoints) -> None:
        self._metrics.model_info.clear()
        for loaded in fresh.all():
            used = loaded.used()
            self._metrics.expect_scores(loaded.reference)
            self._metrics.model_info.labels(
                used.name, str(used.version), used.sha256, used.engine
            ).set(1)
