"""A shim for tools that still call setup.py; pyproject.toml holds the truth."""

from setuptools import setup

setup()
