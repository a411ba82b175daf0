"""Settings for what runs models."""

from pathlib import Path

import click

from windlass.cli.options.option import Section, Settings, Values, option
from windlass.errors import UsageError

OPTIONS = (
    option(
        "--backend-config",
        multiple=True,
        metavar="[BACKEND,]KEY=VALUE",
        help="A setting for a backend, or for all; repeatable.",
    ),
    option(
        "--compiled-cache",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where compiled models are kept between starts, for engines that take long.  [default: nowhere]",
    ),
    option(
        "--compiled-cache-size",
        type=click.IntRange(min=1),
        default=4 << 30,
        metavar="BYTES",
        help="How large that folder may become. What was not used for longest leaves it.",
    ),
    option(
        "--host-policy",
        multiple=True,
        metavar="POLICY,KEY=VALUE",
        help="Keep instances to cores: cpu-cores=0-3, or those of numa-node=0. The policy is the `host_policy` of an "
        "instance group; that of all others is `cpu`, `gpu_0`, `gpu_1` or `model`. Repeatable.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    by_backend: dict[str, dict[str, str]] = {}
    for text in values["backend_config"]:
        backend, comma, setting = text.partition(",")
        key, equals, value = (setting if comma else backend).partition("=")
        if not equals:
            raise UsageError(f"--backend-config `{text}`: expected [BACKEND,]KEY=VALUE")
        by_backend.setdefault(backend if comma else "", {})[key] = value
    return {
        "backend_settings": by_backend,
        "host_policies": tuple(values["host_policy"]),
        "compiled_cache": values["compiled_cache"],
        "compiled_cache_bytes": values["compiled_cache_size"],
    }


SECTION = Section("Backends", OPTIONS, settings)
