"""Whether a multipart body is whole: the parser takes a cut one for one with fewer fields."""

from python_multipart.multipart import parse_options_header


class LastBoundary:
    """Looks for the boundary that ends a multipart body, while its bytes pass by."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"") if kind.startswith(b"multipart/") else b""
        self._mark = b"--" + boundary + b"--" if boundary else b""
        self._before = b""
        self.seen = not self._mark
        """True from the beginning for a body of another kind."""

    def look(self, data: bytes) -> None:
        if not self.seen:
            window = self._before + data
            self.seen = self._mark in window
            self._before = window[1 - len(self._mark) :]
