"""
Turns the bytes of a stranger's file into timed, scaled pictures.

It knows FFmpeg and a clip's spec. It imports no PyTorch and knows no network.
"""
