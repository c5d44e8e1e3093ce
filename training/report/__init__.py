"""The paper's tables and figures, from runs of `train`."""
