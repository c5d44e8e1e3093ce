"""
The kinds of problem that a client may see: one table from exception class to slug and HTTP status.

The rule: a slug never changes its meaning. It is the last part of a problem's type and a label of
the metrics. Whatever is not in the table, or is there as our own fault, is an internal error.
"""

import errno
from dataclasses import dataclass

from model_store import errors as clip_errors
from service import errors


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    slug: str
    """Last part of the problem's type, which never changes: /problems/<slug>."""
    title: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"


INTERNAL = Kind(500, "internal-error", "Something went wrong here, not with your request")
INVALID = Kind(422, "invalid-parameter", "A parameter cannot be used")
MALFORMED = Kind(400, "malformed-upload", "The body is not well formed")
NOT_FOUND = Kind(404, "not-found", "There is nothing at this address")

KINDS: dict[type[Exception], Kind] = {
    clip_errors.NotAVideo: Kind(415, "not-a-video", "Not a video that is decoded here"),
    clip_errors.ClipTooLarge: Kind(413, "clip-too-large", "The clip is too large"),
    clip_errors.UnusableClip: Kind(422, "unusable-clip", "The clip cannot be scored"),
    clip_errors.InvalidDifficulty: Kind(422, "invalid-difficulty", "The difficulty is not usable"),
    clip_errors.InvalidField: INVALID,
    clip_errors.InvalidMeet: INVALID,
    clip_errors.InvalidTrim: Kind(422, "invalid-trim", "start_s and end_s leave nothing to score"),
    clip_errors.CheckpointNotFound: Kind(404, "unknown-checkpoint", "No such checkpoint here"),
    clip_errors.ModelStoreError: INTERNAL,
    clip_errors.ClipError: Kind(422, "unusable-clip", "The clip cannot be scored"),
    clip_errors.RequestError: INVALID,
    clip_errors.SpecError: INTERNAL,
    clip_errors.CheckpointError: INTERNAL,
    clip_errors.InvalidFile: INTERNAL,
    clip_errors.ArchiveDamaged: INTERNAL,
    clip_errors.EngineError: INTERNAL,
    errors.ServiceError: INTERNAL,
    errors.MalformedRequest: Kind(400, "malformed-request", "The request is not well-formed HTTP"),
    errors.HeadTooLarge: Kind(431, "head-too-large", "The head of the request is too large"),
    errors.NoSuchAddress: NOT_FOUND,
    errors.UnknownClip: Kind(404, "unknown-clip", "No such clip is kept here"),
    errors.NotAcceptable: Kind(406, "not-acceptable", "No answer has a form that you accept"),
    errors.MalformedUpload: MALFORMED,
    errors.EmptyFile: Kind(400, "empty-file", "The file is empty"),
    errors.Unauthorised: Kind(401, "unauthorised", "An API key is needed"),
    errors.ForeignOrigin: Kind(403, "foreign-origin", "Pages of other origins may not do this"),
    errors.BodyTimeout: Kind(408, "body-timeout", "The request body did not arrive in time"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The request body is too large"),
    errors.InvalidParameter: INVALID,
    errors.DecoderFailed: Kind(422, "decoder-failed", "The clip breaks the decoder"),
    errors.DecoderTimeout: Kind(422, "decoder-timeout", "The clip takes too long to decode"),
    errors.ReloadRefused: Kind(409, "reload-refused", "The checkpoints stay as they are"),
    errors.QueueFull: Kind(429, "queue-full", "Too much work is waiting already"),
    errors.ClientGone: Kind(499, "client-gone", "The client hung up"),
    errors.Unavailable: Kind(503, "unavailable", "The service cannot answer now"),
    errors.CheckpointUnusable: Kind(503, "checkpoint-unusable", "The checkpoint cannot be used"),
    errors.ArchiveUnavailable: Kind(503, "archive-unavailable", "The archive cannot be used now"),
    errors.NotReady: Kind(503, "not-ready", "The checkpoints are still being loaded"),
    errors.Draining: Kind(503, "draining", "The service is going down"),
    errors.EngineDead: Kind(503, "engine-dead", "The engine has failed"),
    errors.DecoderUnavailable: Kind(503, "decoder-unavailable", "No decoder can be started"),
    errors.DecoderInterrupted: Kind(503, "decoder-interrupted", "The decoder was interrupted here"),
    errors.DeadlinePassed: Kind(504, "deadline-passed", "The answer was not ready in time"),
    errors.NoRoom: Kind(507, "no-room", "There is no room for the upload"),
}

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def kind_of(error: Exception) -> Kind:
    """The kind of the nearest class in the table; for errors of the system by their number."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return KINDS[errors.NoRoom]
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _EXHAUSTED):
        return KINDS[errors.Unavailable]
    return next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
