"""
The archive: clips that are kept with their answer and with what judges gave, see
`model_store.archive`.

The rule: what goes wrong here costs the archive and never an answer; and a clip is there whole, or
not at all. Several processes may share one folder: a new clip gets its name once it is whole, and
whoever changes one that is there already holds the lock. Files are touched on threads of the
archive's own, so that a volume that hangs stops nothing else; and keeping, changing, listing and
tidying have threads of their own, so that none waits for the others.
"""

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from pydantic import BaseModel

from model_store.archive import (
    ANSWER,
    CLIP,
    JUDGED,
    KeptAnswer,
    KeptClip,
    ending_of,
    kept_folders,
    read_kept_clip,
)
from model_store.errors import ArchiveDamaged
from model_store.files import PARTIAL, new_folder, replace_file
from service.errors import ArchiveUnavailable, UnknownClip
from service.metrics import Metrics
from service.scoring.judged import Given, judged_with, now
from service.scoring.scored_clip import ClipToScore, ScoredClip

T = TypeVar("T")
log = logging.getLogger(__name__)

LIMIT_S = 15.0  # for one change, or a list; a volume that takes longer counts as lost
KEEP_LIMIT_S = 5.0  # that keeping a clip may delay its answer
TIDY_S = 600.0  # between two rounds of forgetting, and of measuring the folder
STALE_S = 3600.0  # age of an unfinished folder whose process must be gone
MOST_LISTED = 1000  # clips
KEEPERS = 2  # threads, so that a small clip does not wait for a large one
THREAD = "archive"  # how the names of all threads begin
DAY_S = 86_400.0
_LOCK = ".lock"
_CHUNK = 1 << 20  # bytes a read
_HEAD = 64  # bytes, from which the container is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is kept."""

    clips: list[KeptClip]
    """The newest ones, at most `MOST_LISTED`, newest first."""
    total: int
    judged: int
    """Of these, those with a `judged.json`."""
    damaged: list[str]
    """Hashes of clips among the newest whose folder cannot be read."""


class Archive:
    """One folder, for as long as the service runs; its methods are called on the event loop."""

    def __init__(
        self, root: Path | None, metrics: Metrics, *, max_bytes: int, days: float = 0.0
    ) -> None:
        """Keeps nothing without a `root`, and refuses beyond `max_bytes`.

        `days` after its newest answer a clip is forgotten; 0 is never.
        """
        self.enabled = root is not None
        self.root = root or Path()
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._days = days
        self._bytes = 0  # as measured last, and what this process has changed since
        self._clips = 0
        self._keeping = ThreadPoolExecutor(KEEPERS, thread_name_prefix=f"{THREAD}-keep")
        self._changing = ThreadPoolExecutor(1, thread_name_prefix=f"{THREAD}-change")
        self._listing = ThreadPoolExecutor(1, thread_name_prefix=f"{THREAD}-list")
        self._tidying = ThreadPoolExecutor(1, thread_name_prefix=f"{THREAD}-tidy")
        self._one_listing = asyncio.Lock()
        self._next_listing: asyncio.Task[Listing] | None = None

    async def tidy_forever(self) -> None:
        """Make the folder, then forget, clean and measure once in a while.

        However long that takes: a second one would wait for the same volume.
        """
        loop, step = asyncio.get_running_loop(), self._prepare
        while self.enabled:
            try:
                await loop.run_in_executor(self._tidying, step)
                step = self._tidy
            except OSError as error:
                self._failed("the archive cannot be used", error)
            await asyncio.sleep(TIDY_S)

    def stop(self) -> None:
        """A thread whose volume hangs is left: nothing can end it."""
        for threads in (self._keeping, self._changing, self._listing, self._tidying):
            threads.shutdown(wait=False, cancel_futures=True)

    async def keep(self, clip: ClipToScore, scored: ScoredClip, given: Given | None) -> bool:
        """Keep a file with its newest answer and what judges gave; whether that was possible.

        It returns within `KEEP_LIMIT_S`. A caller who leaves stops it.
        """
        sha256, answer = scored.assessment.clip.sha256, _answer(clip, scored)
        left = threading.Event()
        try:
            async with asyncio.timeout(KEEP_LIMIT_S):
                descriptor = await asyncio.to_thread(clip.upload.fileno)  # a small one is written
                own = os.dup(descriptor)  # that of the request may be closed meanwhile
                keeping = self._keeping.submit(self._keep, sha256, own, answer, given, left)
                keeping.add_done_callback(lambda _: os.close(own))
                await asyncio.wrap_future(keeping)
        except (OSError, ArchiveDamaged) as error:  # a timeout is an OSError
            self._failed("a clip is not kept", error)
            return False
        finally:
            left.set()
        self._metrics.archived.labels("kept").inc()
        return True

    async def judge(self, sha256: str, given: Given) -> KeptClip:
        """Add what judges gave.

        Raises UnknownClip, ArchiveUnavailable, OSError where the disk is full, and what
        `judged_with` raises.
        """

        def work() -> KeptClip:
            with self._locked():
                clip = read_kept_clip(self.root / sha256)
                judged = judged_with(given, clip.answer, clip.judged)
                replace_file(self.root / sha256 / JUDGED, _json(judged))
            return replace(clip, judged=judged)

        return await self._asked(work, self._changing)

    async def forget(self, sha256: str) -> None:
        """Remove a clip and all that is kept of it.   Raises UnknownClip, ArchiveUnavailable."""

        def work() -> None:
            with self._locked():
                taken = self._take_away(self.root / sha256)
            _remove(taken)

        await self._asked(work, self._changing)

    async def listing(self) -> Listing:
        """What is kept; all who ask while one listing is made share the next one.

        Raises UnknownClip where nothing is kept, ArchiveUnavailable.
        """
        if self._next_listing is None:
            self._next_listing = asyncio.create_task(self._list_after_the_last())
        return await asyncio.shield(self._next_listing)  # one who leaves does not stop it

    async def _list_after_the_last(self) -> Listing:
        async with self._one_listing:
            self._next_listing = None  # who asks from now on may have changed something before
            return await self._asked(self._list, self._listing)

    async def _asked(self, function: Callable[[], T], threads: ThreadPoolExecutor) -> T:
        """The result for a client, or the error that it may know."""
        if not self.enabled:
            raise UnknownClip("this service keeps no clips: SCORING_ARCHIVE is not set")

        def work() -> T:
            try:
                return function()
            except FileNotFoundError as error:
                if self.root.is_dir():
                    raise UnknownClip("no clip with this hash is kept") from error
                raise

        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        except OSError as error:
            self._failed("the archive cannot be used", error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ArchiveUnavailable("the archive cannot be used now") from error
        except ArchiveDamaged as error:
            self._failed("a kept clip is damaged", error)
            need = "what is kept of this clip is damaged: remove it, and send it again"
            raise ArchiveUnavailable(need) from error

    def _failed(self, what: str, error: Exception) -> None:
        self._metrics.archived.labels("failed").inc()
        log.error("%s: %s", what, str(error) or type(error).__name__)

    def _keep(
        self,
        sha256: str,
        descriptor: int,
        answer: KeptAnswer,
        given: Given | None,
        left: threading.Event,
    ) -> None:
        folder = self.root / sha256
        with self._locked():
            if folder.is_dir():
                self._replace(folder, answer, given, left)
                return
        with contextlib.ExitStack() as lock:
            try:
                with new_folder(folder) as partial:
                    size = self._write(partial, descriptor, answer, given, left)
                    lock.enter_context(self._locked())
                    if folder.is_dir():  # another process was faster
                        raise FileExistsError
                    _require(left)
            except FileExistsError:
                self._replace(folder, answer, given, left)
                return
        self._count(size, 1)

    def _replace(
        self, folder: Path, answer: KeptAnswer, given: Given | None, left: threading.Event
    ) -> None:
        """The answer of a clip that is kept already, and what judges gave, if they did."""
        known = read_kept_clip(folder).judged
        _require(left)
        replace_file(folder / ANSWER, _json(answer))
        if given is not None:
            replace_file(folder / JUDGED, _json(judged_with(given, answer, known)))

    def _write(
        self,
        partial: Path,
        descriptor: int,
        answer: KeptAnswer,
        given: Given | None,
        left: threading.Event,
    ) -> int:
        """A clip that is new, into its folder; the bytes that it takes."""
        size = os.fstat(descriptor).st_size
        if self._bytes + size > self._max_bytes:
            held = f"{self._bytes} bytes are kept, {size} more pass SCORING_ARCHIVE_BYTES"
            raise OSError(errno.ENOSPC, held)
        ending = ending_of(os.pread(descriptor, _HEAD, 0))
        _copy(descriptor, partial / f"{CLIP}.{ending}", left)
        (partial / ANSWER).write_bytes(_json(answer))
        if given is not None:
            (partial / JUDGED).write_bytes(_json(judged_with(given, answer, None)))
        return _size(partial)

    def _prepare(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self._tidy()

    def _tidy(self) -> None:
        """Forget what is old, remove what killed processes left, measure what is there."""
        if self._days:
            oldest = time.time() - self._days * DAY_S
            for folder in [*kept_folders(self.root)]:
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    if _changed(folder) < oldest:
                        self._forget_if_older(folder, oldest)
        for partial in [*self.root.glob(PARTIAL)]:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if partial.stat().st_mtime < time.time() - STALE_S:
                    _remove(partial)
        sizes = [_size(folder) for folder in kept_folders(self.root)]
        self._count(sum(sizes) - self._bytes, len(sizes) - self._clips)

    def _forget_if_older(self, folder: Path, oldest: float) -> None:
        with self._locked():
            if _changed(folder) >= oldest:  # it was scored again meanwhile
                return
            taken = self._take_away(folder)
        _remove(taken)
        log.info("a kept clip is forgotten")

    def _take_away(self, folder: Path) -> Path:
        """A clip is gone at once for all processes; removing its files takes longer."""
        size = _size(folder)
        os.utime(folder)  # or `_tidy` of another process takes it for a leftover of long ago
        taken = folder.rename(self.root / f".{folder.name}-{token_hex(4)}.partial")
        self._count(-size, -1)
        return taken

    def _list(self) -> Listing:
        found = []
        judged = 0
        for folder in kept_folders(self.root):
            with contextlib.suppress(FileNotFoundError):
                found.append((_changed(folder), folder))
                judged += (folder / JUDGED).exists()
        clips, damaged = [], []
        for _, folder in sorted(found, reverse=True)[:MOST_LISTED]:
            try:
                clips.append(read_kept_clip(folder))
            except ArchiveDamaged:
                damaged.append(folder.name)
            except FileNotFoundError:  # removed meanwhile
                continue
        return Listing(clips=clips, total=len(found), judged=judged, damaged=damaged)

    def _count(self, size: int, clips: int) -> None:
        self._bytes += size
        self._clips += clips
        self._metrics.archive_bytes.set(self._bytes)
        self._metrics.archive_clips.set(self._clips)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else, in any process, changes a clip that is kept."""
        with (self.root / _LOCK).open("ab") as lock:  # "a": NFS locks only what may be written
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _answer(clip: ClipToScore, scored: ScoredClip) -> KeptAnswer:
    """The assessment, and the part of the file that it is of."""
    fields = scored.assessment.to_json()
    fields["checkpoint"]["engine"] = scored.engine
    start_s, end_s = scored.assessment.found_s or (clip.start_s, clip.end_s)
    part = {"start_s": start_s, "end_s": end_s}
    return KeptAnswer.model_validate(fields | part | {"scored_at": now()})


def _json(values: BaseModel) -> bytes:
    return values.model_dump_json(indent=2).encode() + b"\n"


def _require(left: threading.Event) -> None:
    """Raises TimeoutError where nobody waits for the clip to be kept any more."""
    if left.is_set():
        raise TimeoutError("nobody waits for it")


def _copy(descriptor: int, target: Path, left: threading.Event) -> None:
    """By offsets: others share the descriptor's position.   Raises what `_require` does."""
    with target.open("wb") as file:
        while chunk := os.pread(descriptor, _CHUNK, file.tell()):
            _require(left)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())  # now, and not while the lock is held


def _changed(folder: Path) -> float:
    """When a clip was scored last, by the time of that file; of a damaged one, of the folder."""
    try:
        return (folder / ANSWER).stat().st_mtime
    except FileNotFoundError:
        return folder.stat().st_mtime


def _remove(folder: Path) -> None:
    """Another process may be removing it too: then a file is gone that was there just now."""
    while folder.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def _size(folder: Path) -> int:
    """Bytes of its files; 0 once it is gone."""
    size = 0
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                size += path.stat().st_size
    return size
