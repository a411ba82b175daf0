"""Through Docker: images are built, and a release runs as containers of one machine."""
