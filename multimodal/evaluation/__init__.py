"""The metrics, one module per task."""
