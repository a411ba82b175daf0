"""The metrics page."""

import click

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
    option(
        "--metrics-config",
        multiple=True,
        metavar="NAME=VALUE",
        help="counter_latencies=false, summary_latencies=true, summary_quantiles=QUANTILE:ERROR,..., "
        "histogram_latencies=true.",
    ),
    BooleanOption("--allow-cpu-metrics", default=True, help="Show processors and memory."),
    BooleanOption("--allow-gpu-metrics", default=True, help="Show GPUs, where NVML is."),
    option(
        "--metrics-interval-ms",
        type=click.IntRange(min=1),
        default=2000,
        metavar="MS",
        help="How long what was read off the machine counts as new.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    return {
        "metrics_port": values["metrics_port"] if values["allow_metrics"] else None,
        "metrics_address": values["metrics_address"] or values["http_address"],
        "metrics_config": values["metrics_config"],
        "metrics_interval_ms": values["metrics_interval_ms"],
        "cpu_metrics": values["allow_cpu_metrics"],
        "gpu_metrics": values["allow_gpu_metrics"],
    }


SECTION = Section("Metrics", OPTIONS, settings)
