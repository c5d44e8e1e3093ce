"""
What `model_store.finding` runs: recordings to learn from, the fit, and how well it finds.

    recordings → samples (varied) → network → fit → model_store/finding/<action>.safetensors
"""
