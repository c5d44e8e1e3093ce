"""
The packets of a video stream, and the times that the container states for them.

The rule: timestamps are believed only as far as they agree with each other. The length that the
container states counts sound and subtitles, too, so a clip is as long as its frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

import av
from av.packet import Packet
from av.video.stream import VideoStream

from model_store.video.clock_jumps import shifts
from model_store.video.container import Video
from model_store.video.limits import ClipLimits
from model_store.video.timeline import Timeline, in_order

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic in its stubs only

_ANNOUNCED_SHARE = Fraction(9, 10)  # of a complete file: containers round durations


@dataclass(frozen=True, slots=True)
class Demuxed:
    """The compressed frames of a video."""

    packets: list[VideoPacket]
    """In decoding order."""
    damaged: bool
    """Reading ended with an error and not with the end of the file."""
    clock_jumps: bool
    """Gaps in the clock were closed; the packets' times are those without them."""

    @property
    def pts(self) -> Sequence[int | None]:
        """Timestamps of the frames that are shown, in order, then those that are not known."""
        shown = [packet for packet in self.packets if not packet.is_discard]
        known = sorted(packet.pts for packet in shown if packet.pts is not None)
        return known + [None] * (len(shown) - len(known))

    def in_decoding_order(self, video: Video) -> bool:
        """Whether the timestamps are those at which frames are decoded, and not shown.

        AVI has no others: FFmpeg then counts packets as they are stored, which is wrong for a
        codec that stores frames in another order than it shows them. Some writers of other
        containers make the same mistake.
        """
        stored = [packet.pts for packet in self.packets if packet.pts is not None]
        return bool(video.context.has_b_frames) and all(a <= b for a, b in pairwise(stored))

    def pts_are_reliable(self, video: Video) -> bool:
        """Whether the packets' timestamps can be those of the frames."""
        known = all(packet.pts is not None for packet in self.packets)
        return known and not self.in_decoding_order(video)

    def timeline(self, video: Video, pts: Sequence[int | None]) -> Timeline | None:
        """Of frames in the order in which they are shown; None where too few times are usable."""
        moved = False
        known = [time for time in pts if time is not None]
        if len(known) == len(pts) and self.in_decoding_order(video):
            # The times are right, but not at their frames. In AVI that is as it should be.
            pts, moved = sorted(known), video.kind != "avi" and not in_order(pts)
        last_duration = self._stated_last_duration(video, known)
        return Timeline.of_pts(
            pts, video.time_base, stated_last_duration=last_duration, repaired=moved
        )

    def _stated_last_duration(self, video: Video, known: Sequence[int]) -> int:
        """Steps that the last frame stays, as the container states; 0 where it states nothing."""
        announced = [time for time in self.pts if time is not None]
        if not known or not announced or max(known) != announced[-1] or video.cut_off:
            return 0
        end = video.end(announced[0])
        stated = [] if end is None else [end - announced[-1]]
        if video.kind == "mov":  # its last packet may be that of an earlier frame
            stated.append(self.packets[-1].duration or 0)
        return max(0, min(stated, default=0))

    def truncated(self, video: Video, timeline: Timeline) -> bool:
        """Whether frames are missing at the beginning or the end.

        At the beginning: the first one stored refers to one that is not there, as in a broadcast
        that was cut anywhere. At the end: where bytes are missing, even one frame counts; they may
        have held sound alone. A complete file that announces more was edited by a program that
        did not correct its length.
        """
        if self.damaged or not self.packets[0].is_keyframe:
            return True
        end = None if timeline.assumed else video.end(timeline.pts[0])
        if end is None or (video.kind == "avi" and video.cut_off):  # its length is what was found
            return video.cut_off
        if video.cut_off:
            return 2 * (end - timeline.pts[-1] - timeline.last_duration) > timeline.gap
        announced = (end - timeline.pts[0]) * timeline.time_base
        return video.kind != "matroska" and timeline.duration < _ANNOUNCED_SHARE * announced


def demux(video: Video, limits: ClipLimits) -> Demuxed:
    """All packets of the video stream.   Raises ClipTooLarge as soon as a limit is exceeded."""
    packets: list[VideoPacket] = []
    size = 0
    damaged = False
    try:
        for packet in video.container.demux(video.stream):
            if not packet.size:  # the last one, which flushes, and empty ones of AVI
                continue
            packets.append(packet)
            size += packet.size
            limits.check_frames(len(packets))
            limits.check_bytes(size)
    except MemoryError:  # FFmpeg's is one of both kinds
        raise
    except (av.FFmpegError, OSError, IndexError):  # IndexError: a stream that appears later
        damaged = True
    moved = shifts(
        [packet.dts if video.context.has_b_frames else packet.pts for packet in packets],
        [packet.pts for packet in packets],
        video.time_base,
        broadcast=video.kind == "mpegts",
    )
    for packet, shift in zip(packets, moved, strict=True):
        if shift:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
    return Demuxed(packets, damaged, any(moved))
