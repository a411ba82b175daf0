"""Who is asked: models, each with its share of the load, and the server they are on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from windlass.bench.trust import Trust
from windlass.errors import UsageError

_HTTP_PORT, _GRPC_PORT = 8000, 8001
_SCHEMES = {"http", "https", "grpc", "grpcs"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A model; without a version the server chooses. ``share`` is its part of the load, against those of the others."""

    name: str
    version: str = ""
    share: float = 1.0

    def __str__(self) -> str:
        """Write it as it is named on the command line."""
        return f"{self.name}:{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a server listens: REST, and gRPC; and what TLS takes there."""

    http: str
    grpc: str
    trust: Trust = Trust()

    @property
    def encrypted(self) -> bool:
        """Whether one of them speaks TLS."""
        return any(url.startswith(("https:", "grpcs:")) for url in (self.http, self.grpc))


def parse_words(words: Sequence[str], shares: Sequence[str]) -> tuple[tuple[Subject, ...], Doors | None]:
    """Read what stands on the command line: models, URLs, and models with shares. Raises ``UsageError``."""
    urls = [word for word in words if "://" in word]
    subjects = [_subject(word) for word in words if "://" not in word]
    for text in shares:
        subjects += [_shared(part) for part in text.split(",")]
    names = [str(subject) for subject in subjects]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"model `{twice}` is named twice", hint=f"give it more of the load: `--model {twice}=2`")
    if not subjects and not urls:
        raise UsageError(
            "no model was named", hint="`windlass bench resnet --repository models`, or a server's URL and a model"
        )
    return tuple(subjects), parse_doors(urls) if urls else None


def _subject(word: str) -> Subject:
    name, _, version = word.rpartition(":") if ":" in word else (word, "", "")
    if not name or (version and not version.isdecimal()):
        raise UsageError(f"`{word}` is no model", hint="name it as `resnet`, or with a version as `resnet:2`")
    return Subject(name, version)


def _shared(part: str) -> Subject:
    name, _, share = part.strip().partition("=")
    try:
        value = float(share or 1)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"option `--model`: expected NAME=SHARE with a share over 0, got `{part}`")
    return replace(_subject(name), share=value)


def parse_doors(urls: Sequence[str]) -> Doors:
    """Read a server's REST address, its gRPC address, or both; the one that is not given is at its usual port."""
    found: dict[str, str] = {}
    for url in urls:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in _SCHEMES or not host:
            raise UsageError(f"`{url}` is no address of a server", hint="as in http://127.0.0.1:8000")
        door = parts.scheme.removesuffix("s") if parts.scheme.startswith("grpc") else "http"
        if door in found:
            raise UsageError(f"two {door} addresses were given", found=f"{found[door]}, {url}")
        usual = _GRPC_PORT if door == "grpc" else _HTTP_PORT if parts.scheme == "http" else 443
        found[door] = _address(parts.scheme, host, port or usual)
    return Doors(
        found.get("http") or _other(found["grpc"], "http", _HTTP_PORT),
        found.get("grpc") or _other(found["http"], "grpc", _GRPC_PORT),
    )


def _other(url: str, scheme: str, port: int) -> str:
    parts = urlsplit(url)
    return _address(scheme + ("s" if parts.scheme in ("https", "grpcs") else ""), parts.hostname or "", port)


def _address(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def split(total: int, shares: Sequence[float]) -> list[int]:
    """Share out a whole number, at least one to each; what is left over goes to those who miss most.

    There have to be as many as shares.
    """
    ideal = [total * share / sum(shares) for share in shares]
    parts = [max(int(part), 1) for part in ideal]
    while sum(parts) > total:
        parts[max((i for i in range(len(parts)) if parts[i] > 1), key=lambda i: parts[i] - ideal[i])] -= 1
    while sum(parts) < total:
        parts[max(range(len(parts)), key=lambda i: ideal[i] - parts[i])] += 1
    return parts
