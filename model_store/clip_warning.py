"""The warnings about a clip. They are known without the libraries that read one."""

from enum import StrEnum


class ClipWarning(StrEnum):
    """What a judge should know about a clip that could be read all the same."""

    TRIMMED = "trimmed"  # longer than T frames, the first ones were left out
    PADDED = "padded"  # shorter than T frames, blank ones were added
    TRUNCATED = "truncated"  # the file ends before the video that it announces
    DECODE_ERRORS = "decode_errors"  # some frames were damaged
    TIMES_REPAIRED = "times_repaired"  # a few timestamps were wrong, those frames were left out
    TIMES_ASSUMED = "times_assumed"  # no usable timestamps: frames in order at the claimed rate
    CLOCK_JUMP = "clock_jump"  # the recording has a cut at which its clock jumps
    SLOW_MOTION = "slow_motion"  # recorded at a higher rate than it plays, as the file states
    TIME_LAPSE = "time_lapse"  # recorded at a lower rate than it plays, as the file states
    FEW_PICTURES = "few_pictures"  # most of its frames repeat others
    LOW_FRAME_RATE = "low_frame_rate"  # fewer frames than the clip needs: some are shown twice
    SIZE_CHANGES = "size_changes"  # the frames change their size within the clip
    INTERLACED = "interlaced"  # its frames are made of two fields, which were separated
    BARS = "bars"  # black bars around the frames were cut off
    HDR = "hdr"  # the file states too little about its colours, they were guessed
    NO_ROUTINE = "no_routine"  # nothing in the recording looks like a routine of the action
    SEVERAL_ROUTINES = "several_routines"  # more than one part of the recording looks like one
