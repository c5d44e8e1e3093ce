"""
From a run's weights and figures to a checkpoint in the store, with its card and intervals.

It trains nothing: it reads the folder of a run.
"""
