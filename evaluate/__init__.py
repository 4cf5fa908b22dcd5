"""Predictions against truth: the official score, its parts, and pictures."""
