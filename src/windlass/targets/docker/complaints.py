"""What Docker complains of, as a sentence and what to do. The groups of a pattern fill both."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a complaint means."""

    message: str
    hint: str


# What Docker says, what it means, and what to do. Groups of the pattern fill both.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"(?i)unknown command: docker compose|'compose' is not a docker command|unknown shorthand flag: 'p'",
        "Docker has no `compose` here",
        "install its plugin: https://docs.docker.com/compose/install/",
    ),
    (
        r"(?i)unknown command: docker buildx|'buildx' is not a docker command|unknown flag: --progress",
        "Docker has no `buildx` here, which builds images",
        "install its plugin: https://docs.docker.com/build/install-buildx/",
    ),
    (
        r"(?i)cannot connect to the docker daemon(?: at (\S+?)\.? )?|error during connect.*?(ssh://\S+|tcp://\S+)?",
        "no Docker engine answers",
        "start it (`systemctl start docker`), or name another with `context` of the target",
    ),
    (
        r'context "([^"]+)"(?:: context)? not found|open .*contexts/meta.*: no such file',
        "Docker knows no context `{0}`",
        "`docker context ls` shows those there are; `docker context create` makes one",
    ),
    (
        r"permission denied while trying to connect",
        "Docker's socket may not be used by this user",
        "join the group `docker`, or run as one who may",
    ),
    (
        r"Bind for \S*?:(\d+) failed: port is already allocated|tcp\d? \S*?:(\d+): bind: address already in use",
        "port {0} is in use by another program",
        "`ss -ltnp` shows which; end it, or say another port in windlass.yaml",
    ),
    (
        r"(?:pull access denied for|manifest for|manifest unknown.*?|failed to resolve reference) \"?([^\s,\"]+)",
        "the image `{0}` is neither here nor in its registry",
        "build it with `windlass build`, or log in with `docker login`",
    ),
    (
        r'Get "?https?://([^/"]+)/v2/',
        "the registry `{0}` does not answer",
        "look at the name of the image, and at the way to its registry",
    ),
    (
        r"unauthorized|denied: requested access|no basic auth credentials",
        "the registry refuses",
        "log in with `docker login`",
    ),
    (
        r'could not select device driver "nvidia"|unknown or invalid runtime name: nvidia',
        "this engine offers no GPUs to containers",
        "install the NVIDIA Container Toolkit: `nvidia-ctk runtime configure --runtime=docker`",
    ),
    (
        r"unknown or invalid runtime name: (\S+)",
        "the engine has no container runtime `{0}`",
        "install and register it, or leave `security.sandbox` out",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        "the registry speaks plain HTTP",
        "name it under `insecure-registries` of the engine, if it is one you trust",
    ),
    (
        r"\"?/?(locks/[\w.-]+)\"?: not found",
        "the packages of the image were never pinned",
        "`windlass build --lock` writes `{0}`",
    ),
    (r"no space left on device", "the engine's disk is full", "`docker system prune` frees what nothing uses"),
    (
        r"invalid mount config for type \"bind\": bind source path does not exist: (\S+)",
        "`{0}` is not there",
        "write it, or name another in windlass.yaml",
    ),
    (
        r'external volume "([^"]+)" not found',
        "there is no volume `{0}`",
        "make it with `docker volume create {0}` and fill it",
    ),
)


def explain(said: str) -> Meaning | None:
    """Return what Docker means, where that is known."""
    for pattern, message, hint in _MEANINGS:
        if found := re.search(pattern, said):
            named = next((group for group in found.groups() if group), "")
            return Meaning(message.format(named), hint.format(named))
    return None
