"""What the organisers receive: the wrapped model, export, pre-flight check, bundle."""
