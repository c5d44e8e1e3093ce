"""
What can go wrong in the service itself, by name; `problem_kinds.py` gives each its HTTP status.

    ServiceError
    ├── MalformedRequest      not HTTP, or a header that may be sent once is there twice
    ├── HeadTooLarge          the address and headers of a request
    ├── NoSuchAddress         nothing is at this path
    ├── UnknownClip           no clip of this hash is kept, or none at all
    ├── NotAcceptable         the client refuses every form that an answer has
    ├── MalformedUpload       the body is not multipart/form-data, or not well formed
    ├── EmptyFile
    ├── Unauthorised          an API key is required; missing or wrong
    ├── ForeignOrigin         a page of another origin made a browser send it
    ├── BodyTooLarge          more bytes than allowed, counted as they arrive
    ├── BodyTimeout           the body did not arrive in time, or too slowly
    ├── NoRoom                no disk space or memory budget left for the upload
    ├── InvalidParameter      contradicts another parameter; knows which
    ├── DecoderFailed         the decoder crashed on the clip
    ├── DecoderTimeout        the clip took more processor time than it may
    ├── ReloadRefused         a new version cannot be used; the old one stays
    ├── QueueFull             too much work already; knows when to come back
    ├── ClientGone            the client hung up; nobody reads the answer
    ├── DeadlinePassed
    └── Unavailable
        ├── CheckpointUnusable  it is in the store, but damaged or unreadable: others serve
        ├── ArchiveUnavailable  the folder of kept clips cannot be read or written
        ├── NotReady          checkpoints are still being loaded
        ├── Draining          the service is going down
        ├── EngineDead        the inference thread is gone, or its engine hangs
        ├── DecoderUnavailable  no decode worker can be started
        └── DecoderInterrupted  the decoder got no processor, or was killed; knows when to come back

Texts may be shown to the caller.
"""


class ServiceError(Exception):
    pass


class MalformedRequest(ServiceError):
    pass


class HeadTooLarge(ServiceError):
    pass


class NoSuchAddress(ServiceError):
    pass


class UnknownClip(ServiceError):
    pass


class NotAcceptable(ServiceError):
    pass


class MalformedUpload(ServiceError):
    pass


class EmptyFile(ServiceError):
    pass


class Unauthorised(ServiceError):
    pass


class ForeignOrigin(ServiceError):
    pass


class BodyTooLarge(ServiceError):
    pass


class BodyTimeout(ServiceError):
    pass


class NoRoom(ServiceError):
    pass


class InvalidParameter(ServiceError):
    def __init__(self, text: str, *, field: str) -> None:
        super().__init__(text)
        self.field = field


class DecoderFailed(ServiceError):
    pass


class DecoderTimeout(ServiceError):
    pass


class ReloadRefused(ServiceError):
    pass


class QueueFull(ServiceError):
    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class ClientGone(ServiceError):
    pass


class DeadlinePassed(ServiceError):
    pass


class Unavailable(ServiceError):
    pass


class CheckpointUnusable(Unavailable):
    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} is in the store and cannot be used")
        self.reference = reference


class ArchiveUnavailable(Unavailable):
    pass


class NotReady(Unavailable):
    pass


class Draining(Unavailable):
    pass


class EngineDead(Unavailable):
    pass


class DecoderUnavailable(Unavailable):
    pass


class DecoderInterrupted(Unavailable):
    """Not the clip's fault."""

    def __init__(self, text: str, *, retry_after_s: int = 10) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
