"""The commands of `python -m training`; each imports what is heavy only when it runs."""
