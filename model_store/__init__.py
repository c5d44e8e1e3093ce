"""
What must be the same in training and in serving, and the folder of checkpoints.

`spec` and `clip` import neither torch nor OpenVINO, so that decode workers stay small.
"""
