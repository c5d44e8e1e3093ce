"""
How well the routine is found in recordings whose routines are known, and what that costs.

The rule: a recording is read as the service reads it, from a file. What is found is compared with
the nearest routine, and its score with that of the routine as a data set would cut it. Times are of
the processor, medians of several readings, those to be compared by turns.

Shapes: N frames of a recording.
"""

import dataclasses
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_store.clip import PreparedClip, prepare_clip, read_clip
from model_store.clip_warning import ClipWarning
from model_store.errors import UnusableClip
from model_store.finding.recording import ALL_FRAMES
from model_store.found_routine import Span
from model_store.scorer import Scorer
from model_store.spec import ClipSpec
from model_store.video.reader import ClipReader
from training.finding.recordings import recorded
from training.finding.strung import KnownRecording
from training.simulator.looks import FPS
from training.simulator.uncut import AROUND_S

NEAR_S = 0.3  # seconds by which both ends may be off
NEAR_POINTS = 1.5
READINGS = 3  # that are timed
_SHORT_S = 1.0  # more than a clip lasts: of less there is nothing to search


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found in one recording."""

    kind: str
    off_s: tuple[float, float]
    """How much later than the nearest routine it begins and ends."""
    second_off_s: float | None
    """By how much the second choice misses the nearest other routine; None where there is none."""
    points: float
    """By how much its score differs from that of the routine."""
    cost: float
    """Processor time of reading it, as a share of reading all frames once."""
    warnings: tuple[ClipWarning, ...]
    warns_of_nothing: bool | None
    """Whether there is a warning, or the part is refused, where only what precedes the routine is
    searched; None where that is too short."""


def simulated(action: str, seed: int, count: int) -> Iterator[KnownRecording]:
    for index in range(count):
        recording, style, file = recorded(action, seed, index, around_s=AROUND_S)
        name = recording.kind if style == "plain" else f"{recording.kind}, {style}"
        spans = tuple((a / FPS, b / FPS) for a, b in recording.routines_as_pairs())
        yield KnownRecording(kind=name, file=file, routines=spans)


def find_all(
    scorer: Scorer,
    recordings: Iterator[KnownRecording],
    count: int,
    on_found: Callable[[int, int], None] = lambda done, of: None,
) -> list[Finding]:
    found = []
    for number, recording in enumerate(recordings, start=1):
        found.append(_find(scorer, recording))
        on_found(number, count)
    return found


def _find(scorer: Scorer, recording: KnownRecording) -> Finding:
    spec = scorer.spec
    clip, cost = _read(recording.file, spec)
    assert clip.found is not None
    found, second = clip.found.span, clip.found.second
    nearest = min(recording.routines, key=lambda span: _distance(span, found))
    others = [span for span in recording.routines if span != nearest]
    second_off = None
    if others:
        second_off = min(_distance(span, second) for span in others) if second else np.inf
    begin, end = nearest
    cut = prepare_clip(read_clip(recording.file, spec, start_s=begin, end_s=end), spec)
    scores = [scorer.score([each.frames])[0].score for each in (clip, cut)]
    return Finding(
        kind=recording.kind,
        off_s=(found[0] - begin, found[1] - end),
        second_off_s=second_off,
        points=scores[0] - scores[1],
        cost=cost,
        warnings=clip.warnings,
        warns_of_nothing=_warns_of_nothing(recording, spec),
    )


def _read(file: bytes, spec: ClipSpec) -> tuple[PreparedClip, float]:
    """What is found, and what that costs."""
    whole = ClipReader(spec=dataclasses.replace(spec, frames=ALL_FRAMES), sha256="not needed")
    seconds: list[tuple[float, float]] = []
    for _ in range(READINGS):
        began = time.process_time()
        whole.read(io.BytesIO(file))
        once = time.process_time()
        decoded = read_clip(file, spec, find=True, sha256="not needed")
        clip = prepare_clip(decoded, spec)
        seconds.append((once - began, time.process_time() - once))
    once, found = np.median(seconds, axis=0)
    return clip, float(found / once)


def _distance(span: Span, other: Span) -> float:
    """The larger of the errors at both ends."""
    return max(abs(a - b) for a, b in zip(span, other, strict=True))


def _warns_of_nothing(recording: KnownRecording, spec: ClipSpec) -> bool | None:
    before = min(begin for begin, _ in recording.routines)
    if before < float(spec.frames / spec.fps) + _SHORT_S:
        return None
    try:
        decoded = read_clip(recording.file, spec, end_s=before, find=True, sha256="not needed")
    except UnusableClip:
        return True
    return ClipWarning.NO_ROUTINE in decoded.warnings


def figures(findings: Sequence[Finding]) -> dict[str, Any]:
    """All together and by kind: shares, 0…1, and medians."""
    kinds = sorted({finding.kind for finding in findings})
    by_kind = {kind: _figures([each for each in findings if each.kind == kind]) for kind in kinds}
    return {"all": _figures(findings)} | by_kind


def _figures(findings: Sequence[Finding]) -> Mapping[str, float | int | None]:
    off = np.abs([each.off_s for each in findings])
    points = np.abs([each.points for each in findings])
    nothing = [each.warns_of_nothing for each in findings if each.warns_of_nothing is not None]
    second = [each.second_off_s for each in findings if each.second_off_s is not None]
    return {
        "recordings": len(findings),
        "near": float((off.max(axis=1) <= NEAR_S).mean()),
        "begins_near": float((off[:, 0] <= NEAR_S).mean()),
        "ends_near": float((off[:, 1] <= NEAR_S).mean()),
        "median_off_s": float(np.median(off.max(axis=1))),
        "near_in_points": float((points <= NEAR_POINTS).mean()),
        "median_points": float(np.median(points)),
        "second_near": float((np.array(second) <= NEAR_S).mean()) if second else None,
        "cost": float(np.median([each.cost for each in findings])),
        "no_routine": _share(findings, ClipWarning.NO_ROUTINE),
        "several_routines": _share(findings, ClipWarning.SEVERAL_ROUTINES),
        "nothing_noticed": float(np.mean(nothing)) if nothing else None,
    }


def _share(findings: Sequence[Finding], warning: ClipWarning) -> float:
    return float(np.mean([warning in each.warnings for each in findings]))
