"""cockpit: a terminal control center for a personal box of NVIDIA GPUs."""

__version__ = "0.1.0"
