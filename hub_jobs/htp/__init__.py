"""Qualcomm's NPU on this computer: its compiler, its emulator, and what of a model does not fit."""
