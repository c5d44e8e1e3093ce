"""Uploads that attack: each must be refused quickly, and without opening anything else."""

import io
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest

from model_store.clip import decode
from model_store.errors import ClipError, NotAVideo, UnusableClip
from model_store.spec import ClipSpec
from model_store.video.container import open_bytes, open_video, sha256_of
from model_store.video.demuxer import demux
from model_store.video.limits import ClipLimits
from tests.clips import clip_of, lossless, moving_square, numbered, still_png

SDP = b"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=x
c=IN IP4 127.0.0.1
t=0 0
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
"""


def refusal(source: Any, spec: ClipSpec) -> ClipError:
    """The error, which must come within seconds."""
    outcome: list[BaseException | None] = []

    def attempt() -> None:
        try:
            decode(source, spec)
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert outcome, "it hangs"
    [error] = outcome
    assert isinstance(error, ClipError), error
    for secret in ("Errno", "Invalid data", "0x", "<none>", "/", "Traceback"):
        assert secret not in str(error)
    return error


def playlist(target: str) -> bytes:
    return (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n"
        f"#EXTINF:10.0,\n{target}\n#EXT-X-ENDLIST\n"
    ).encode()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the server that an attacker would like to see."""
    path = tmp_path / "canary.ts"
    path.write_bytes(lossless(numbered(40), container="mpegts"))
    return path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        yield server


@pytest.mark.parametrize("name", ["clip", "clip.mp4", "clip.m3u8", "clip.ffconcat", "clip.sdp"])
def test_scripts_read_no_other_file(
    name: str, canary: Path, monkeypatch: pytest.MonkeyPatch, small: ClipSpec
) -> None:
    monkeypatch.chdir(canary.parent)
    assert len(decode(canary, small)) == 40  # it is there and would show
    scripts = [
        playlist(target)
        for target in (str(canary), canary.name, f"file:{canary}", f"concat:{canary}")
    ]
    scripts.append(f"ffconcat version 1.0\nfile '{canary.name}'\n".encode())
    scripts.append(f"ffconcat version 1.0\nfile '{canary}'\n".encode())
    for script in scripts:
        path = canary.parent / name
        path.write_bytes(script)
        named = io.BytesIO(script)
        named.name = str(path)
        with path.open("rb") as file:
            for source in (script, path, file, named):
                assert isinstance(refusal(source, small), NotAVideo)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.m3u8", "clip.mpd"])
def test_scripts_reach_no_other_server(
    name: str, listener: socket.socket, tmp_path: Path, small: ClipSpec
) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/clip.ts"
    mpd = f'<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>'
    for script in (playlist(url), mpd.encode()):
        path = tmp_path / name
        path.write_bytes(script)
        assert isinstance(refusal(path, small), NotAVideo)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_session_description_opens_no_sockets(tmp_path: Path, small: ClipSpec) -> None:
    path = tmp_path / "clip.sdp"
    path.write_bytes(SDP)
    for source in (SDP, path):
        assert isinstance(refusal(source, small), NotAVideo)
    for port in (5004, 5005):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))  # fails if somebody holds it


def bomb_gif(side: int) -> bytes:
    """35 bytes that unpack to a picture of side × side."""
    size = struct.pack("<HH", side, side)
    colours = b"\x00\x00\x00\xff\xff\xff"
    return b"GIF89a" + size + b"\x80\x00\x00" + colours + b",\0\0\0\0" + size + b"\0\2\2D\1\0;"


def jpeg() -> bytes:
    return clip_of(numbered(1, 64, 64), codec="mjpeg", container="image2pipe", pix_fmt="yuvj420p")


@pytest.mark.parametrize(
    "data",
    [still_png(), jpeg(), bomb_gif(8000), bomb_gif(20000), b"\x1b[2J\x1b[31mTTY text " * 50,
     b"XBIN\x1a" + bytes(200), b"", b"\0", b"hello", bytes(100_000)],
    ids=["png", "jpeg", "gif", "large gif", "tty", "xbin", "empty", "one byte", "text", "zeros"],
)  # fmt: skip
def test_files_that_are_no_videos(data: bytes, small: ClipSpec) -> None:
    assert isinstance(refusal(data, small), NotAVideo)


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_stills_in_a_video_container(kind: str, small: ClipSpec) -> None:
    if kind == "heic":
        data = heic()
    else:
        data = clip_of(numbered(1, 64, 64), codec="libsvtav1", container="avif")
    error = refusal(data, small)
    assert isinstance(error, UnusableClip)
    assert "need" in str(error)


@pytest.mark.parametrize(
    ("codec", "container", "pix_fmt"),
    [("magicyuv", "avi", "gbrp"), ("jpeg2000", "mov", "rgb24"), ("png", "mov", "rgb24"),
     ("ffv1", "matroska", "yuv420p"), ("mpeg2video", "mpegts", "yuv420p"),
     ("gif", "mov", "rgb8"), ("rawvideo", "avi", "yuv420p")],
)  # fmt: skip
def test_other_codecs_never_decode_anything(
    codec: str, container: str, pix_fmt: str, small: ClipSpec
) -> None:
    data = clip_of(moving_square(30, 64, 64), codec=codec, container=container, pix_fmt=pix_fmt)
    av.logging.set_level(av.logging.DEBUG)
    try:
        with av.logging.Capture(local=False) as logs:
            error = refusal(data, small)
    finally:
        av.logging.set_level(None)
    assert isinstance(error, NotAVideo)
    assert f"codec {codec}, need one of h264" in str(error)
    said = [text for _, name, text in logs if name == codec]
    assert all("not on whitelist" in text for text in said)  # also while FFmpeg was probing
    assert said or codec == "rawvideo"  # of which FFmpeg knows enough without decoding


def test_ffmpeg_gets_no_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(lossless(numbered(20)))
    with open_bytes(path) as file, open_video(file, ClipLimits()) as video:
        assert video.container.name == "<none>"


def test_times_of_packets_are_not_trusted_where_the_container_has_none() -> None:
    reordered = {"bf": "2", "b_strategy": "0", "sc_threshold": "0"}
    for container, options, hold in (
        ("mp4", reordered, True),
        ("mp4", {"bf": "0"}, True),
        ("avi", {"bf": "0"}, True),
        ("avi", reordered, False),
    ):
        data = clip_of(moving_square(30, 64, 64), container=container, options=options)
        with open_bytes(data) as file, open_video(file, ClipLimits()) as video:
            assert demux(video, ClipLimits()).pts_are_reliable(video) == hold


def test_a_small_file_takes_no_memory_for_a_large_picture(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.mp4"
    with bomb.open("wb") as file:
        black = np.zeros((4608, 4608, 3), np.uint8)
        file.write(clip_of([black], options={"preset": "ultrafast"}))
    code = """
import resource, sys
from model_store.clip import read_clip
from model_store.errors import ClipTooLarge
from model_store.spec import DIVING
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_clip(sys.argv[1], DIVING)
except ClipTooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(bomb)], capture_output=True, check=True, timeout=60
    )
    assert int(done.stdout) < 20_000  # KiB; one such frame has 32 MB


@pytest.mark.parametrize("name", ["missing.mp4", "", "\0", "."])
def test_paths_that_cannot_be_read(name: str, tmp_path: Path, small: ClipSpec) -> None:
    assert isinstance(refusal(os.path.join(tmp_path, name), small), NotAVideo)


def test_hash_of_a_file_leaves_it_at_its_beginning() -> None:
    data = os.urandom(3_000_000)
    with open_bytes(data) as file:
        digest = sha256_of(file)
        assert file.read() == data
    done = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True, timeout=60)
    assert digest == done.stdout.split()[0].decode()


def heic() -> bytes:
    """One H.265 picture as phones store stills.   [ISO/IEC 23008-12]"""
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB", (64, 64), numbered(1, 64, 64)[0].tobytes()).save(buffer)
    return buffer.getvalue()
