"""
The commands of `python -m training`: options and messages, and nothing else.

Each command imports what is heavy only when it runs.
"""
