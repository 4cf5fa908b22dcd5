"""The bundle: one zip that holds what a third person needs to check a claim; written, read safely, verified."""
