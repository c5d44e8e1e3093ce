"""
Offline: simulate, train, evaluate, calibrate and publish checkpoints.

It never imports `service`.
"""
