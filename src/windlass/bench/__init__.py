"""Load on a server and what came of it: how fast, how even, where the time went, and what it cost."""
