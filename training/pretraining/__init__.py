"""Teaches one extractor before any score is known, or takes published weights."""
