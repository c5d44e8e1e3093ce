"""
What must be equal in training and in serving, and the folder of checkpoints.

It imports neither `service` nor `training`.
"""
