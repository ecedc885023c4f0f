"""Reference data: sample it, label it, keep it, read it."""
