"""
Random access points and reference frames, read from the first bits of their packets.

The rule: leaving frames out (see `decoder`) relies on these bits and not on the flags of the
container, which are often wrong. In doubt the answer is the one that leaves less out.

[H.264] 7.4.1, [H.265] 7.4.2.2: types of NAL units.   [MPEG-4 part 2] 6.2.5: type of a VOP.
"""

from collections.abc import Iterator

from av.video.codeccontext import VideoCodecContext

from model_store.video.demuxer import VideoPacket

_H264_IDR = 5
_HEVC_RANDOM_ACCESS = range(16, 22)  # BLA, IDR, CRA
_VOP = b"\x00\x00\x01\xb6"


def is_random_access_point(packet: VideoPacket, context: VideoCodecContext) -> bool:
    """Whether no frame shown after this one refers to one before it.

    After a key frame of H.264 the picture may recover only little by little. The decoders of VP8,
    VP9 and AV1 refuse to begin anywhere but at such a point; every JPEG stands alone.
    """
    if not packet.is_keyframe:
        return False
    if context.name == "h264":
        return any(header[0] & 31 == _H264_IDR for header in _nal_headers(packet, context))
    if context.name == "hevc":
        return any(
            header[0] >> 1 & 63 in _HEVC_RANDOM_ACCESS for header in _nal_headers(packet, context)
        )
    if context.name == "mpeg4":
        _, found, vop = bytes(packet).partition(_VOP)
        return bool(found and vop) and vop[0] >> 6 == 0  # intra
    return True


def marks_references_reliably(packet: VideoPacket, context: VideoCodecContext) -> bool:
    """Whether no other frame refers to one that is marked as no reference.

    H.265 promises that for a temporal sub-layer only, so all frames must be in the lowest one. No
    unit that comes with a frame has a lower TemporalId than the frame, so the first unit decides.
    """
    if context.name == "hevc":
        header = next(_nal_headers(packet, context), b"")
        return len(header) == 2 and header[1] & 7 == 1
    return context.name in ("h264", "mpeg4")


def _nal_headers(packet: VideoPacket, context: VideoCodecContext) -> Iterator[bytes]:
    """The first two bytes of each unit of an H.264 or H.265 packet."""
    data = bytes(packet)
    described_at = 4 if context.name == "h264" else 21  # in avcC, hvcC
    extradata = context.extradata or b""
    if extradata[:1] == b"\x01" and len(extradata) > described_at:
        width = (extradata[described_at] & 3) + 1  # bytes of the length before each unit
        at = 0
        while at + width < len(data):
            size = int.from_bytes(data[at : at + width], "big")
            at += width
            yield data[at : at + 2]
            at += size
    else:
        at = data.find(b"\x00\x00\x01") + 3
        while 3 <= at < len(data):
            yield data[at : at + 2]
            at = data.find(b"\x00\x00\x01", at) + 3
