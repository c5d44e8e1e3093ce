"""Adapters: judged clips as their authors publish them, brought to one form."""
