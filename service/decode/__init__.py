"""
The confined processes that decode uploads, and the pool that supervises them:

    pool (which worker takes which upload, whose fault a failure is)
      → process (starts, kills, talks to one process) ⇄ worker (what runs in it) → seccomp, landlock
        both sides: messages (JSON over a socket), memory (pixels, without a copy)

It knows files and time limits. FFmpeg is called further down, in `model_store/video/decoder.py`.
It imports no PyTorch, and nothing of HTTP.
"""
