"""
Where in a longer recording the routine is: pictures in, frames out, in milliseconds.

    features     each frame in a few numbers
    → finder     a small network over them: how well each frame fits to each part of a routine
    → windows    the best window, the second best, and whether there is any

The rule: it is cheap beside decoding and imports NumPy alone, so it runs in the confined process
that decodes. Which pixels are scored is decided here; what they look like is not.
"""
