"""Without containers: a release runs as processes of this machine, and a supervisor keeps them."""
