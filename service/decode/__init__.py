"""
The confined processes that decode uploads, and the pool that watches them.

It knows files and time limits. It imports no PyTorch, and nothing of HTTP.
"""
