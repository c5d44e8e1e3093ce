"""
One run of a decoder over the packets of a video.

The rule: a frame comes out the same whichever others were asked for. What is left out is only
what no wanted frame refers to: everything before the last packet that begins anew, and frames that
are no references (decoded under `skip_frame`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from model_store.errors import UnusableClip
from model_store.video.bitstream import begins_anew, tells_what_is_referred_to
from model_store.video.container import ClipLimits, Video, VideoPacket

Progress = Callable[[int, int], None]
"""Called with how many packets are done, and of how many."""


class Decoder:
    """Decodes a video once."""

    def __init__(self, video: Video, limits: ClipLimits, on_packet: Progress | None = None) -> None:
        self._video = video
        self._limits = limits
        self._on_packet = on_packet
        self.stamps: list[int | None] = []
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

        A packet that does not decode is counted and passed over; if that happens while frames are
        being left out, nothing more comes. Raises UnusableClip when it happens too often,
        ClipTooLarge when more comes out than the limits allow.
        """
        context = self._video.context
        sparing = False
        skip = False
        if wanted is not None:
            first = first_needed(packets, wanted, context)
            packets = packets[first:]
            skip = len(wanted) < len(packets) and all(
                tells_what_is_referred_to(packet, context) for packet in packets
            )
            sparing = first > 0 or skip
        for done, packet in enumerate((*packets, None), start=1):
            if skip and wanted is not None and packet is not None:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            damaged = packet is not None and packet.is_corrupt
            try:
                frames = context.decode(packet)
            except av.FFmpegError:
                frames = []
                damaged = True
            self.errors += damaged or any(frame.is_corrupt for frame in frames)
            if self.errors and sparing:
                return  # less than everything was not enough
            self._check_errors(len(packets))
            if self._on_packet is not None and packet is not None:
                self._on_packet(done, len(packets))
            for frame in frames:
                self._check(frame)
                yield frame
        self.finished = not sparing

    def _check(self, frame: VideoFrame) -> None:
        self.stamps.append(frame.pts)
        self.pixels += frame.width * frame.height
        self._limits.check_picture(frame.width, frame.height)
        self._limits.check_frames(len(self.stamps))
        self._limits.check_decoded_pixels(self.pixels)

    def _check_errors(self, packets: int) -> None:
        if self.errors > self._limits.max_error_share * packets:
            raise UnusableClip(
                f"{self.errors} of {packets} frames are damaged, allowed are"
                f" {self._limits.max_error_share:.0%}"
            )


def first_needed(
    packets: Sequence[VideoPacket], wanted: Collection[int], context: VideoCodecContext
) -> int:
    """Index of the last packet from which on all of the wanted frames can be decoded."""
    earliest = min(wanted, default=0)
    first = 0
    for index, packet in enumerate(packets):
        if packet.pts is not None and packet.pts <= earliest and begins_anew(packet, context):
            first = index
        if packet.pts in wanted or packet.has_sidedata("new_extradata"):
            break  # what follows needs the parameters that came with this packet
    return first
