"""
From a checkpoint and judged clips to figures.

It trains nothing: it imports nothing of `training.learn`.
"""
