"""A repository becomes a running server. The only package that imports the data plane."""
