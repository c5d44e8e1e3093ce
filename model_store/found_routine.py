"""Where in a recording the routine was found."""

from dataclasses import dataclass

Span = tuple[float, float]
"""Beginning and end, seconds of the file: as `start_s` and `end_s` they give the same clip."""


@dataclass(frozen=True, slots=True)
class FoundRoutine:
    span: Span
    """The whole recording, or the part that was searched, if that is no longer than a clip."""
    second: Span | None
    """The most likely one that shows something else; None if there is no room for one."""

    def __post_init__(self) -> None:
        for begin, end in filter(None, (self.span, self.second)):
            if not 0 <= begin < end:
                raise ValueError(f"a routine from {begin} s to {end} s")
