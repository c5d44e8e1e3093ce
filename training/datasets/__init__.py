"""Adapters: judged clips as they are published, to one form."""
