"""
Simulated dives, vaults and programmes on ice of which every fault and its cost are known.

Of our own packages it imports `model_store` only.
"""

OFFICIAL_TEST_SHARE = 70 / 370
"""Share of the clips of UNLV-Dive that are its test split."""
