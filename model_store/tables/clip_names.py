"""
Finds the clips that a table names, though it was written on another system.

Windows writes `\\` for `/`, and macOS stores names in another Unicode form than most programs
write: ü as u and two dots. A name is looked up as it is first.
"""

import os
import unicodedata
from pathlib import Path, PurePosixPath


class ClipNames:
    """Of the files and folders below one folder, which is listed only where it has to be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """What has this name; None where there is nothing, or more than one that it could be."""
        if not name:
            return None
        for spelled in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self._folder / spelled
            if os.path.exists(path):  # False, too, for a name that no file can have
                return path
            if (path_in_form := self._in_any_form(spelled)) is not None:
                return path_in_form
        return None

    def _in_any_form(self, name: str) -> Path | None:
        place = self._folder
        for part in PurePosixPath(name).parts:
            if os.path.exists(place / part):
                place /= part
                continue
            found = self._listing(place).get(unicodedata.normalize("NFC", part), [])
            if len(found) != 1:
                return None
            place /= found[0]
        return place

    def _listing(self, place: Path) -> dict[str, list[str]]:
        """Names in a folder by their composed form."""
        if place not in self._listed:
            names = self._listed[place] = {}
            for entry in os.listdir(place) if place.is_dir() else ():
                names.setdefault(unicodedata.normalize("NFC", entry), []).append(entry)
        return self._listed[place]
