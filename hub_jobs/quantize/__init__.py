"""Integer models for the NPU, made on this machine."""
