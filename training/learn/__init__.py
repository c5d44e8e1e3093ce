"""
From batches to weights: one run of training.

It knows networks, losses and the folder of a run. It knows no pre-training and publishes nothing:
it imports nothing of `training.pretraining`, `training.release` or `training.paper`.
"""
