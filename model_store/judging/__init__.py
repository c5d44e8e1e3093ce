"""
The arithmetic of the sports: panels and their rules, difficulty, the order of clips.

It knows numbers only. It imports no PyTorch and no video.
"""
