"""
Converted networks on disk, so that a start reads them instead of converting again.

    <cache>/<key>-<random>/network.xml, network.bin, baseline.json, MANIFEST.sha256

The rule: the key is a hash of everything that the conversion depends on (weights, specs, the code,
the versions of torch and OpenVINO), and an entry is used only if its files match its manifest. An
entry is written beside its place and renamed into it, and each has a name of its own: nobody
removes or replaces a whole one, so what was found stays there while it is being read. Two processes
that convert at the same moment may leave two entries. What cannot be kept, for whatever reason, is
used from memory, and converted again at the next start.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

import model_store
from model_store.files import new_folder
from model_store.stored_network import StoredNetwork

MANIFEST = "MANIFEST.sha256"

log = logging.getLogger(__name__)


def default_cache() -> Path | None:
    """SCORING_CACHE, or else a folder in the user's cache; None for a user without a home."""
    if chosen := os.environ.get("SCORING_CACHE"):
        return Path(chosen)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(base) / "fragment-scorer"


def key_of(stored: StoredNetwork, *, code: Iterable[str], libraries: Iterable[str]) -> str:
    """Hash of a network and of what converts it: files of `model_store`, and packages."""
    specs = [stored.network_spec.to_json(), stored.clip_spec.to_json()]
    versions = [f"{library} {version(library)}" for library in libraries]
    digest = hashlib.sha256(json.dumps([stored.digest, specs, versions], sort_keys=True).encode())
    for name in code:
        digest.update((Path(model_store.__file__).parent / name).read_bytes())
    return digest.hexdigest()


def find(cache: Path, key: str) -> Path | None:
    """The folder of a whole entry, if there is one. Damaged ones are removed."""
    for folder in sorted(cache.glob(f"{key}-*")):
        try:
            if is_whole(folder):
                return folder
        except OSError as error:  # it may be whole for others
            log.warning("the converted network in %s cannot be read: %s", folder, error)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return None


def keep(cache: Path, key: str, write: Callable[[Path], None]) -> None:
    """Make an entry with `write`, which may raise OSError; a failure is only a warning."""
    try:
        with new_folder(cache / f"{key}-{token_hex(4)}") as partial:
            write(partial)
            (partial / MANIFEST).write_text(_manifest(partial))
    except OSError as error:
        log.warning(
            "a converted network cannot be kept in %s, each start will take seconds longer: %s",
            cache,
            error,
        )


def is_whole(folder: Path) -> bool:
    """Whether all files are there and match the manifest.   Raises OSError if unreadable."""
    try:
        return (folder / MANIFEST).read_text() == _manifest(folder)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _manifest(folder: Path) -> str:
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
