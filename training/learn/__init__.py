"""
From batches to weights: one run of training.

It knows networks, losses and the folder of a run. It publishes nothing.
"""
