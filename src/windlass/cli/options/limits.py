"""The rate limiter: whether instances wait for resources, and how much there is of each."""

import click

from windlass.cli.options.option import Section, Settings, Values, option
from windlass.errors import ServerError, UsageError

OPTIONS = (
    option(
        "--rate-limit",
        type=click.Choice(["off", "execution_count"]),
        default="off",
        help="With execution_count an instance executes while it has the resources that the `rate_limiter` of its "
        "group names; those that wait take turns by priority.",
    ),
    option(
        "--rate-limit-resource",
        multiple=True,
        metavar="NAME:COUNT[:DEVICE]",
        help="How much there is of a resource, on one device or on each. Without this option there is as much of each "
        "as the most demanding instance needs; with it, nothing of those that are not listed.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    from windlass.serving.limits import ResourceLimit

    try:
        limits = tuple(ResourceLimit.parse(text) for text in values["rate_limit_resource"])
    except ServerError as error:
        raise UsageError(f"option `--rate-limit-resource`: {error.message}", hint=error.hint) from None
    return {"rate_limit": values["rate_limit"] == "execution_count", "resource_limits": limits}


SECTION = Section("Rate limiter", OPTIONS, settings)
