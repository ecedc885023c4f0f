"""Reports: what records come to, for programs and for people. A report never sees a model."""
