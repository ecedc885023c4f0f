"""One file a command: its options, the call, what it prints. Heavy imports happen inside the functions."""
