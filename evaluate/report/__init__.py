"""The report: one HTML page that shows a score, where it was lost, and the worst frames."""
