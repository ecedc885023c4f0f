"""Architectures that no installable package provides."""
