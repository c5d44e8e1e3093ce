"""
From a checkpoint and judged clips to figures and intervals.

It trains and publishes nothing: it imports nothing of `training.learn` or `training.release`.
"""
