"""
From clips to one extractor, before any score: pretext tasks, and published weights.

Its result is the file `extractor.safetensors`, from which `training.learn` starts.
"""
