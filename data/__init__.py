"""Frames in: real folders, synthetic scenes, teacher labels on disk."""
