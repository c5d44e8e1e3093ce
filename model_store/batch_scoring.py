"""
Clips from files, scored by the batch: what `score` and `features` have in common.

The rule: a clip that cannot be read or scored costs itself alone, also where it shares a batch.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from model_store.assessment import Assessment, assess
from model_store.checkpoint import Checkpoint
from model_store.clip import PreparedClip, prepare_clip, read_clip
from model_store.errors import ClipError, ClipTooLarge, EngineError, InvalidTrim, NotAVideo
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from model_store.tables.clip_table import ClipRequest

BATCH = 8  # clips
MOST_PIPED = 1 << 30  # bytes that are taken from a pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredClip:
    score: Score
    """By the video alone."""
    clip: PreparedClip
    features: NDArray[np.float32]
    """(P,), as `confidence.pool` has them."""
    checkpoint: Checkpoint

    def assess(self, difficulty: float | None) -> Assessment:
        """Raises InvalidDifficulty."""
        card, sha256 = self.checkpoint.card, self.checkpoint.sha256
        return assess(self.score, self.clip, card=card, sha256=sha256, difficulty=difficulty)


def score_clips(
    scorer: Scorer, requests: Sequence[ClipRequest], *, find: bool = False
) -> Iterator[tuple[ClipRequest, ScoredClip | str]]:
    """Each clip in order: scored, or what is wrong with it; `find` looks for the routine in it."""
    for first in range(0, len(requests), BATCH):
        some = requests[first : first + BATCH]
        clips = [_prepared(request, scorer.spec, find) for request in some]
        answers = iter(_answers(scorer, [each for each in clips if not isinstance(each, str)]))
        for request, clip in zip(some, clips, strict=True):
            yield request, clip if isinstance(clip, str) else next(answers)


def _prepared(request: ClipRequest, spec: ClipSpec, find: bool) -> PreparedClip | str:
    if request.problem is not None:
        return request.problem
    try:
        with seekable(request.path) as source:
            read = read_clip(source, spec, start_s=request.start_s, end_s=request.end_s, find=find)
        return prepare_clip(read, spec)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ClipError, InvalidTrim) as error:
        return str(error)


def _answers(scorer: Scorer, clips: Sequence[PreparedClip]) -> list[ScoredClip | str]:
    """One a clip; where the engine fails on a batch each is tried alone."""
    if not clips:
        return []
    try:
        scores, features = scorer.score_with_features([clip.frames for clip in clips])
    except EngineError as error:
        if len(clips) == 1:
            return [str(error)]
        return [answer for clip in clips for answer in _answers(scorer, [clip])]
    return [
        ScoredClip(score=score, clip=clip, features=pooled, checkpoint=scorer.checkpoint)
        for score, clip, pooled in zip(scores, clips, features, strict=True)
    ]


@contextmanager
def seekable(path: Path) -> Iterator[BinaryIO]:
    """A file, or all that comes out of a pipe.   Raises OSError, ClipTooLarge, NotAVideo."""
    with path.open("rb", buffering=0) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode):
            yield file
            return
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise NotAVideo("neither a file nor a pipe")
        with tempfile.TemporaryFile() as copy:
            while chunk := file.read(1 << 20):
                copy.write(chunk)
                if copy.tell() > MOST_PIPED:
                    raise ClipTooLarge(f"more than {MOST_PIPED} bytes came out of the pipe")
            yield copy
