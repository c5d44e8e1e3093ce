"""
Turns the bytes of a stranger's file into timed, scaled frames. Each module calls only those below
it or to its right:

    clip.read_clip → reader
        container (truncation, frame_files) → demuxer (clock_jumps) → selection (timeline)
        → decoder (bitstream) → scaler (black_bars, deinterlacing, colour_conversion)

It knows FFmpeg and a clip's spec. It imports no PyTorch and knows no network.
"""
