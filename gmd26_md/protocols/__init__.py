"""The questions asked of a model: one question, one module."""
