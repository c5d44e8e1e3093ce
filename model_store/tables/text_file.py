"""Files that people and their programs wrote as text."""

import codecs
from pathlib import Path

from model_store.errors import InvalidFile


def read_text(path: Path) -> str:
    """UTF-8, UTF-16 with its mark, or else Windows-1252, as spreadsheets write it.

    Line ends stay as they are. Raises InvalidFile.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidFile(f"{path} is missing") from error
    except OSError as error:
        raise InvalidFile(f"{path} cannot be read as text: {error}") from error
    try:
        text = _decoded(content)
    except UnicodeDecodeError as error:
        raise InvalidFile(f"{path} cannot be read as text: {error}") from error
    if "\0" in text:  # a spreadsheet's own file, or UTF-16 without its mark
        raise InvalidFile(f"{path} cannot be read as text: it has zero bytes, need UTF-8")
    return text


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")
