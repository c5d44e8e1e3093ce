"""Offline: simulate, train, evaluate, calibrate and publish checkpoints."""
