"""Settings for what runs models."""

from windlass.cli.options.option import Section, Settings, Values, option
from windlass.errors import UsageError

OPTIONS = (
    option(
        "--backend-config",
        multiple=True,
        metavar="[BACKEND,]KEY=VALUE",
        help="A setting for a backend, or for all; repeatable.",
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
    return {"backend_settings": by_backend}


SECTION = Section("Backends", OPTIONS, settings)
