"""Through kubectl: a release runs on a Kubernetes cluster."""
