"""
From rows and videos to batches: data sets, decoded clips, splits, targets.

It knows clips and how they were judged. It knows no weights: it imports nothing of
`training.learn`, `training.measure` or `training.release`.
"""
