"""The metrics page."""

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option

OPTIONS = (
    BooleanOption("--allow-metrics", default=True, help="Serve the metrics page."),
    option(
        "--metrics-address",
        metavar="ADDRESS",
        show_default="that of REST",
        help="Address of the metrics page.",
    ),
    option(
        "--metrics-port", type=int, default=8002, metavar="PORT", help="Port of the metrics page; 0 takes a free one."
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    return {
        "metrics_port": values["metrics_port"] if values["allow_metrics"] else None,
        "metrics_address": values["metrics_address"] or values["http_address"],
    }


SECTION = Section("Metrics", OPTIONS, settings)
