"""The reference: labels for frames, from any calculator that `load_calculator` opens."""
