"""lpcv: distil, export, check, score and submit depth networks for the Low-Power Computer Vision Challenge."""

__version__ = "0.1.0"
