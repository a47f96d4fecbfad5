"""Measurements of speed that anybody can repeat: `python -m benchmarks.training_speed`."""
