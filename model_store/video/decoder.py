"""
One run of a decoder over the packets of a video.

The rule: a frame comes out the same whichever others were asked for. Left out is only what no
wanted frame refers to: everything before the last random access point, and frames that no other
frame refers to (by FFmpeg's `skip_frame`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from model_store.video.bitstream import is_random_access_point, marks_references_reliably
from model_store.video.demuxer import VideoPacket
from model_store.video.limits import ClipLimits

OnPacket = Callable[[int, int], None]
"""Called with how many packets have been decoded, and how many there are to decode."""


class Decoder:
    """Decodes a video once."""

    def __init__(
        self, context: VideoCodecContext, limits: ClipLimits, on_packet: OnPacket | None = None
    ) -> None:
        self._context = context
        self._limits = limits
        self._on_packet = on_packet
        self.pts: list[int | None] = []
        """Timestamps of the frames that came out, in the order in which they are shown."""
        self.errors = 0
        """Packets that were damaged, did not decode, or gave a damaged frame."""
        self.pixels = 0
        self.finished = False
        """All packets were decoded, from the first to the last."""

    def frames(
        self, packets: Sequence[VideoPacket], wanted: Collection[int] | None = None
    ) -> Iterator[VideoFrame]:
        """The frames in the order in which they are shown; at least those `wanted`, by timestamp.

        A packet that does not decode is counted and skipped; if that happens while frames are
        being left out, the iteration ends. Raises UnusableClip when it happens too often,
        ClipTooLarge when more comes out than the limits allow, MemoryError.
        """
        context = self._context
        partial = False
        skip = False
        if wanted is not None:
            first = first_needed(packets, wanted, context)
            packets = packets[first:]
            skip = len(wanted) < len(packets) and all(
                marks_references_reliably(packet, context) for packet in packets
            )
            partial = first > 0 or skip
        for done, packet in enumerate((*packets, None), start=1):
            if skip and wanted is not None and packet is not None:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            damaged = packet is not None and packet.is_corrupt
            try:
                frames = context.decode(packet)
            except MemoryError:  # FFmpeg's is one of both kinds
                raise
            except av.FFmpegError:
                frames = []
                damaged = True
            self.errors += damaged or any(frame.is_corrupt for frame in frames)
            if self.errors and partial:
                return  # all packets are needed
            self._limits.check_errors(self.errors, len(packets))
            if self._on_packet is not None and packet is not None:
                self._on_packet(done, len(packets))
            for frame in frames:
                self._check(frame)
                yield frame
        self.finished = not partial

    def _check(self, frame: VideoFrame) -> None:
        self.pts.append(frame.pts)
        self.pixels += frame.width * frame.height
        self._limits.check_size(frame.width, frame.height)
        self._limits.check_frames(len(self.pts))
        self._limits.check_decoded_pixels(self.pixels)


def first_needed(
    packets: Sequence[VideoPacket], wanted: Collection[int], context: VideoCodecContext
) -> int:
    """Index of the last packet from which on all wanted frames can be decoded."""
    earliest = min(wanted, default=0)
    first = 0
    for index, packet in enumerate(packets):
        early = packet.pts is not None and packet.pts <= earliest
        if early and is_random_access_point(packet, context):
            first = index
        if packet.pts in wanted or packet.has_sidedata("new_extradata"):
            break  # the following packets need the parameters that came with this one
    return first
