"""
Whether a file is tagged as recorded in slow motion or as a time lapse.

The rule: only a tag of the file counts. A high frame rate proves nothing: 240 frames a second,
played at the same rate, are real time.
"""

from collections.abc import Mapping

_CAPTURE_FPS = "com.android.capture.fps"  # Android's recorders, also at ordinary speed
_INTENT = "com.apple.quicktime.full-frame-rate-playback-intent"  # 0 also in ordinary recordings
_MODE = "com.apple.photos.capturemode"
_APART = 1.5  # times; rates are rounded, and cameras drop frames in poor light
_APPLE_SLOW_FPS = 100  # iPhones record slow motion at 120 or 240 frames a second


def is_slow_motion(tags: Mapping[str, str], fps: float) -> bool:
    """Whether a file of `fps` frames a second shows, or asks to show, more time than passed."""
    captured = _captured(tags)
    if captured is not None and fps:
        return captured > _APART * fps
    slowed = tags.get(_INTENT) == "0" and fps > _APPLE_SLOW_FPS
    return slowed or tags.get(_MODE, "").lower().startswith("slo")


def is_time_lapse(tags: Mapping[str, str], fps: float) -> bool:
    """Whether a file of `fps` frames a second shows less time than passed."""
    captured = _captured(tags)
    if captured is not None and fps:
        return _APART * captured < fps
    return tags.get(_MODE, "").lower() == "time-lapse"


def _captured(tags: Mapping[str, str]) -> float | None:
    """Frames a second that were recorded."""
    try:
        rate = float(tags.get(_CAPTURE_FPS, ""))
    except ValueError:
        return None
    return rate if 0 < rate < float("inf") else None
