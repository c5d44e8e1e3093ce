"""How the shipped checkpoints were made: scripts, and the commands that only they call."""
