"""Synthetic scenes with exact depth: the embedded default data."""
