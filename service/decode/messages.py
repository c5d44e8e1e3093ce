"""
What the pool and a decode worker send each other: JSON, each message preceded by its length.

The rule: nothing that a worker sends is ever executed, and the pool checks all of it against these
types (see `process`). The worker loads this module too, so it imports no pydantic.

    worker    Ready                               once, after it has confined itself
    pool      DecodeJob, with two descriptors     the upload, and memory for the pixels
    worker    Taken                               from here on, a crash is the clip's fault
    worker    DecodeProgress                      any number, for a job that wants it
    worker    Decoded or Refused
    pool      STOP                                at any time, for a job that nobody wants any more
"""

import dataclasses
import json
import re
import struct
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from model_store.clip import ClipInfo, ClipLimits, ClipWarning, FoundRoutine
from model_store.spec import ClipSpec

LENGTH = struct.Struct("!I")
STOP = LENGTH.pack(0)  # without content; between two jobs it means nothing
_BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    spec: ClipSpec
    limits: ClipLimits
    sha256: str
    """Of the upload. The pool takes no other from the worker's answer."""
    start_s: float | None = None
    end_s: float | None = None
    find: bool = False
    """Whether to look for the routine between these times."""
    wants_fragment_jpegs: bool = False
    """Also send a JPEG of each fragment."""
    wants_progress: bool = False
    """Also report how far the decoding is."""

    cpu_s: int = 0
    """Processor time that the clip may take; the pool knows it."""
    short_s: float | None = None
    """Processor time beyond which the clip is left to another worker; None: there is none."""

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        fields: dict[str, Any] = json.loads(content)
        fields["spec"] = ClipSpec.from_json(fields["spec"])
        fields["limits"] = ClipLimits(**fields["limits"])
        return cls(**fields)


class TakesLonger(Exception):
    """The clip takes more processor time than `short_s`."""


class Stopped(Exception):
    """The pool has asked for it."""


@dataclass(frozen=True, slots=True)
class Ready:
    filtered: bool
    """Whether the process can open neither sockets nor files, see `seccomp`."""


@dataclass(frozen=True, slots=True)
class Taken:
    pass


@dataclass(frozen=True, slots=True)
class DecodeProgress:
    done: int
    of: int
    """Frames."""

    def __post_init__(self) -> None:
        if not 0 <= self.done <= self.of:
            raise ValueError(f"{self.done} of {self.of} frames")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The clip, whose pixels are in the memory."""

    info: ClipInfo
    warnings: tuple[ClipWarning, ...]
    times: list[float | None]
    fragment_jpegs: list[str | None] | None
    found: FoundRoutine | None

    def __post_init__(self) -> None:
        if not all(each is None or _BASE64.fullmatch(each) for each in self.fragment_jpegs or ()):
            raise ValueError("a picture is not in base64")


@dataclass(frozen=True, slots=True)
class Refused:
    """The clip's fault, as far as the worker knows; or it was stopped, or takes longer."""

    error: str
    """Name of its class."""
    detail: str
    traceback: str | None = None
    """Of an exception that nobody expected."""


Answer: TypeAlias = Decoded | Refused
Message: TypeAlias = Ready | Taken | DecodeProgress | Answer


def packed(message: DecodeJob | Message) -> bytes:
    content = json.dumps(dataclasses.asdict(message), default=str).encode()  # str: a frame rate
    return LENGTH.pack(len(content)) + content
