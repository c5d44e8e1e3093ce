"""
From an upload to a scored clip: admission, waiting, batches, loaded checkpoints.

It knows clips, checkpoints and waiting. It imports nothing of `service.http`.
"""
