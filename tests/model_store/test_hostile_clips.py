"""Well-formed containers whose content attacks: each is refused, or scored as what it shows."""

import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from model_store.clip import ClipWarning, decode, read_clip
from model_store.errors import ClipError, ClipTooLarge, UnusableClip
from model_store.spec import ClipSpec
from tests.clips import clip_of, moving_square

CENC = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "0" * 32,
    "encryption_kid": "1" * 32,
}


def chunk(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def avi_with_subtitles(script: bytes) -> bytes:
    """An AVI whose one stream is text; FFmpeg opens what is in it as a file of its own. [GAB2]"""
    title = "x\0".encode("utf-16le")
    text = b"GAB2\0" + struct.pack("<HI", 2, len(title)) + title
    text += struct.pack("<HI", 4, len(script)) + script
    main = struct.pack("<14I", 33333, 0, 0, 0x10, 1, 0, 1, 0, 64, 64, 0, 0, 0, 0)
    stream = b"txts" + bytes(4) + struct.pack("<12I", 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0)
    header = chunk(
        b"LIST",
        b"hdrl",
        chunk(b"avih", main),
        chunk(b"LIST", b"strl", chunk(b"strh", stream), chunk(b"strf", bytes(40))),
    )
    return chunk(b"RIFF", b"AVI ", header, chunk(b"LIST", b"movi", chunk(b"00tx", text)))


def test_a_playlist_inside_an_avi_opens_nothing(tmp_path: Path, small: ClipSpec) -> None:
    """CVE-2017-9993"""
    canary = tmp_path / "canary.ts"
    canary.write_bytes(clip_of(moving_square(40, 64, 64), container="mpegts"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        port = listener.getsockname()[1]
        for target in (f"file://{canary}", str(canary), f"http://127.0.0.1:{port}/x.ts"):
            playlist = f"#EXTM3U\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()
            with pytest.raises(ClipError):
                decode(avi_with_subtitles(playlist), small)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("options", [{}, {"movflags": "frag_keyframe+empty_moov"}])
def test_encrypted_clips_are_not_scored(options: dict[str, str], small: ClipSpec) -> None:
    """CVE-2026-40962 was in this part of the reader."""
    encrypted = clip_of(moving_square(48, 64, 64), container_options=CENC | options)
    with pytest.raises(UnusableClip, match="frames are damaged"):
        decode(encrypted, small)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p", "yuv422p10le"])
def test_a_size_and_a_depth_that_change_midway(pix_fmt: str, small: ClipSpec) -> None:
    """As in the underflow of FFmpeg's `color_frame`: H.264 of 10 bits whose SPS changes."""
    raw = {"container": "mpegts", "options": {"x264-params": "repeat-headers=1:keyint=12"}}
    clip = clip_of(moving_square(24, 128, 128), pix_fmt=pix_fmt, **raw)
    clip += clip_of(moving_square(24, 48, 64), **raw)
    decoded = read_clip(clip, small)
    assert ClipWarning.SIZE_CHANGES in decoded.warnings
    assert len(decoded.frames) >= 24


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("libvpx-vp9", "yuv420p"),
        ("mjpeg", "yuvj420p"),
        ("mpeg4", "yuv420p"),
        ("libx264", "yuv420p"),
    ],
)
def test_a_picture_wider_than_allowed_in_any_codec(
    codec: str, pix_fmt: str, small: ClipSpec
) -> None:
    wide = np.zeros((20, 32, 4112, 3), np.uint8)
    with pytest.raises(ClipTooLarge, match="4112×32"):
        decode(clip_of(wide, codec=codec, container="matroska", pix_fmt=pix_fmt), small)
