"""
The tables and figures of the paper, and the methods that it compares with.

Nothing else in the project depends on it.
"""
