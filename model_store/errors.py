"""
Everything that can go wrong below the service, by name.

    ModelStoreError
    ├── ClipError                 the caller's clip
    │   ├── NotAVideo             no container or codec that we decode
    │   ├── ClipTooLarge          more pixels, frames or seconds than allowed
    │   └── UnusableClip          decodes, but cannot be scored: no video stream, a still, too short
    ├── RequestError              the caller's parameters do not fit the checkpoint
    │   ├── InvalidDifficulty     not a finite number above 0, or missing where one is needed
    │   ├── InvalidPanel          marks, difficulty or deductions that no panel gives; knows which
    │   └── InvalidTrim           start_s, end_s that leave nothing; an action that find cannot find
    ├── SpecError                 a ClipSpec or NetworkSpec that contradicts itself
    ├── CheckpointError           a checkpoint that must not be used
    │   ├── CheckpointNotFound    no such name or version in the store
    │   ├── CheckpointExists      a published version is never overwritten
    │   ├── CheckpointCorrupt     a file is missing, added, or differs from MANIFEST.sha256
    │   ├── CheckpointUnreadable  the system does not let this user read it; knows which file
    │   └── CheckpointIncompatible  unknown or missing key, wrong shape, non-finite weight, bad card
    └── EngineError               an engine cannot run here, or failed
        ├── EngineMissing         the machine has nothing that it could run on
        ├── EngineOutOfMemory     the batch is too large for the device; a smaller one may do
        └── EngineLost            the device is lost to this process: nothing will run there again

Texts name what was found and what was needed. They may be shown to a caller, except that of
CheckpointUnreadable: it holds a path of this machine.
"""


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


class InvalidPanel(RequestError):
    def __init__(self, text: str, *, field: str) -> None:
        super().__init__(text)
        self.field = field


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


class CheckpointIncompatible(CheckpointError):
    pass


class EngineError(ModelStoreError):
    pass


class EngineMissing(EngineError):
    pass


class EngineOutOfMemory(EngineError):
    pass


class EngineLost(EngineError):
    pass
