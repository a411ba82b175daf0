"""What makes a version of a model better to serve: other formats, fewer bits, comparisons, and settings that fit."""
