"""
From rows and videos to batches: data sets, decoded clips, splits, targets.

It knows clips and what is judged of them. It knows no weights, and imports nothing of
`training.learn`.
"""
