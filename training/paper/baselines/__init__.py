"""Methods of the paper's Table 2 that stand beside the network, for comparison only."""
