"""
Whether a multipart body is complete: it ends with its last boundary.

The parser does not check this; it reads a body that was cut off as one with fewer fields.
"""

from python_multipart.multipart import parse_options_header


class LastBoundary:
    """Looks for the boundary that ends a multipart body, while its bytes pass by."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"") if kind.startswith(b"multipart/") else b""
        self._mark = b"--" + boundary + b"--" if boundary else b""
        self._before = b""
        self.found = not self._mark
        """True from the beginning for a body of another kind."""

    def feed(self, data: bytes) -> None:
        if not self.found:
            window = self._before + data
            self.found = self._mark in window
            self._before = window[1 - len(self._mark) :]
