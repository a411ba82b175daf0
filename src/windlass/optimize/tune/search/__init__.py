"""What to measure next, and which of what was measured is best. Pure: times and results come in as values."""
