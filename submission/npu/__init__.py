"""What a model becomes on a phone's NPU: `lpcv emulate`, `lpcv sensitivity`."""
