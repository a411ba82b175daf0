"""Where a gateway runs: what its surroundings give it, and what its nginx can do."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Names and paths around a gateway. The defaults are those of a container on Docker's own network."""

    resolver: str = "127.0.0.11"
    """Who tells the addresses of servers."""
    host: str = "{service}"
    """The name of a service's servers."""
    secrets: str = "/run/secrets"
    """The folder with a file for each secret."""
    scratch: str = "/tmp"  # noqa: S108  (a container's own)
    """A folder that can be written."""
    configuration: str = "/etc/nginx"
    """The folder with what is generated here."""
    mime_types: str = "/etc/nginx/mime.types"
    """The file of types that comes with nginx."""
    listen: str = ""
    """The address that is listened on, with a colon behind it; all where empty."""
    rest_port: int = 8080
    grpc_port: int = 8081
    status_port: int = 8082

    def server(self, service: str) -> str:
        """Return the name of a service's servers."""
        return self.host.format(service=service)


@dataclass(frozen=True, slots=True)
class Nginx:
    """What a version of nginx can do."""

    version: tuple[int, ...]

    @classmethod
    def of(cls, image: str) -> "Nginx":
        """Read the version from an image's tag; the newest is meant where the tag does not tell."""
        found = re.search(r":(\d+)\.(\d+)(?:\.(\d+))?", image)
        # A tag such as 1.28 stands for its latest patch.
        return cls(tuple(int(part) if part else 99 for part in found.groups())) if found else cls((99,))

    @property
    def follows_names(self) -> bool:
        """Whether servers of an upstream are looked up again while nginx runs."""
        return self.version >= (1, 27, 3)

    @property
    def http2_directive(self) -> bool:
        """Whether HTTP/2 is a directive of its own; `listen … http2` is out of date then."""
        return self.version >= (1, 25, 1)
