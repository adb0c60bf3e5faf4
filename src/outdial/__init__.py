"""Outdial: a self-hosted batch calling server for voice agents."""

__version__ = "0.1.0"
