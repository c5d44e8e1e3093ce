"""From weights and figures to a checkpoint in the store, with its card."""
