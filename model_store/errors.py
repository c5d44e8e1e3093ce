"""
Everything that can go wrong below the service, by name.

    ModelStoreError
    ├── ClipError                 the caller's clip
    │   ├── NotAVideo             no container or codec that we decode
    │   ├── ClipTooLarge          more pixels, frames or seconds than allowed
    │   └── UnusableClip          decodes, but cannot be scored: no video stream, a still, too short
    ├── RequestError              the caller's parameters do not fit the checkpoint
    │   ├── InvalidDifficulty     not a finite number above 0, or missing where one is needed
    │   ├── InvalidField          a field of the request; knows which
    │   │   ├── InvalidDive       a dive number or a height that there is not
    │   │   └── InvalidPanel      marks, difficulty or deductions that no panel gives
    │   ├── InvalidMeet           the same for dives of a meet; knows which, and which field of each
    │   └── InvalidTrim           start_s, end_s that leave nothing; an action that find cannot find
    ├── SpecError                 a ClipSpec or NetworkSpec that contradicts itself
    ├── CheckpointError           a checkpoint that must not be used
    │   ├── CheckpointNotFound    no such name or version in the store
    │   ├── CheckpointExists      a published version is never overwritten
    │   ├── CheckpointCorrupt     a file is missing, added, or differs from MANIFEST.sha256
    │   ├── TransferError         it cannot be fetched from there, or written in that form here
    │   ├── CheckpointUnreadable  the system does not let this user read it; knows which file
    │   └── CheckpointIncompatible  unknown or missing key, wrong shape, non-finite weight, bad card
    ├── InvalidFile               a table of the user's that cannot be read, or a number in it
    ├── ArchiveDamaged            a file of a kept clip is missing or cannot be read
    └── EngineError               an engine cannot run here, or failed
        ├── EngineMissing         the machine has nothing that it could run on
        ├── EngineOutOfMemory     the batch is too large for the device; a smaller one may do
        └── EngineLost            the device is lost to this process: nothing will run there again

Texts name what was found and what was needed. They may be shown to a caller, except those of
CheckpointUnreadable and ArchiveDamaged: they hold a path of this machine.
"""

from collections.abc import Sequence


class ModelStoreError(Exception):
    """Base of all errors of this package."""


class ClipError(ModelStoreError):
    pass


class NotAVideo(ClipError):
    pass


class ClipTooLarge(ClipError):
    pass


class UnusableClip(ClipError):
    pass


class RequestError(ModelStoreError):
    pass


class InvalidDifficulty(RequestError):
    pass


class InvalidField(RequestError):
    def __init__(self, text: str, *, field: str) -> None:
        super().__init__(text)
        self.field = field


class InvalidDive(InvalidField):
    pass


class InvalidPanel(InvalidField):
    pass


class InvalidMeet(RequestError):
    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        """`problems` are the index of the dive from 0, the field, and the text of each."""
        index, field, text = problems[0]
        super().__init__(f"{len(problems)} wrong; dive {index + 1}, {field}: {text}")
        self.problems = tuple(problems)


class InvalidTrim(RequestError):
    pass


class SpecError(ModelStoreError, ValueError):
    pass


class CheckpointError(ModelStoreError):
    pass


class CheckpointNotFound(CheckpointError):
    pass


class CheckpointExists(CheckpointError):
    pass


class CheckpointCorrupt(CheckpointError):
    pass


class CheckpointUnreadable(CheckpointError):
    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason
        """The system's own text, without the path."""

    def __str__(self) -> str:
        return "{} cannot be read: {}".format(*self.args)


class TransferError(CheckpointError):
    pass


class CheckpointIncompatible(CheckpointError):
    pass


class InvalidFile(ModelStoreError):
    pass


class ArchiveDamaged(ModelStoreError):
    pass


class EngineError(ModelStoreError):
    pass


class EngineMissing(EngineError):
    pass


class EngineOutOfMemory(EngineError):
    pass


class EngineLost(EngineError):
    pass
