"""Where a release runs: here as processes, through Docker Compose, or on Kubernetes. Texts come from ``generate``."""
