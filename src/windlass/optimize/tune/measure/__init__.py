"""What is done to candidates: made, compared, run in a loop, served. Each in a process of its own, which may fail."""
