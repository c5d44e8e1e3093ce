"""
Converted networks on disk, so that a start reads them instead of converting again.

    <cache>/<key>/extraction.xml, .bin, …, MANIFEST.sha256

The rule: the key is a hash of everything that the conversion depends on (weights, specs, the code,
the versions of torch and OpenVINO), and an entry is used only if its files match its manifest. An
entry is written beside its place and renamed into it; a damaged one is replaced. What cannot be
written is converted again next time.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from model_store.files import new_folder
from model_store.network import FragmentNetwork

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


def key_of(network: FragmentNetwork, *, sources: Iterable[str | None], versions: list[str]) -> str:
    """Hash of the network and of what converts it; `sources` are files of code."""
    digest = hashlib.sha256()
    specs = [network.network_spec.to_json(), network.clip_spec.to_json(), versions]
    digest.update(json.dumps(specs, sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    for source in sources:
        digest.update(Path(source).read_bytes() if source else b"")
    return digest.hexdigest()


def entry(cache: Path, key: str, write: Callable[[Path], None]) -> Path | None:
    """The folder of an entry, made with `write` where it is missing or damaged.

    None where it cannot be kept, because the folder is read-only or full.
    """
    folder = cache / key
    if is_whole(folder):
        return folder
    try:
        with new_folder(folder) as partial:
            write(partial)
            (partial / MANIFEST).write_text(_manifest(partial))
            if not is_whole(folder):  # but damaged, or it is not there
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if is_whole(folder):  # another process was faster
            return folder
        log.warning("converted networks cannot be kept in %s: %s", cache, error)
        return None
    return folder


def is_whole(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).read_text() == _manifest(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _manifest(folder: Path) -> str:
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
