"""Pure functions of arrays: errors, topology, drift, survival, and the verdict they lead to. No torch, no model."""
