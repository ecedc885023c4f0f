"""Moving molecules: the batched engine, and where its forces come from."""
