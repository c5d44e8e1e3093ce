"""
The arithmetic of the sports: difficulty, panels and their rules, intervals, the order of clips.

It knows numbers only. It imports no PyTorch and no video.
"""
