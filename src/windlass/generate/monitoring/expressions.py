"""PromQL over the metrics of servers: one place says what a latency, a share of failures, a wait is."""

# What is summed over: a service, and a model in it.
BY = "service, model"


def requests(window: str, labels: str = "") -> str:
    """Return requests per second that were answered, well or not."""
    return f"sum by ({BY}) ({_rate('nv_inference_request_success', window, labels)}) + ({failures(window, labels)})"


def failures(window: str, labels: str = "") -> str:
    """Return failed requests per second; nought where a server tells of none."""
    failed = f"sum by ({BY}) ({_rate('nv_inference_request_failure', window, labels)})"
    none = f"sum by ({BY}) ({_rate('nv_inference_request_success', window, labels)}) * 0"
    return f"{failed} or {none}"


def failure_share(window: str, labels: str = "") -> str:
    """Return the share of requests that failed; nothing where nobody asks."""
    return f"({failures(window, labels)}) / ({requests(window, labels)} > 0)"


def latency(quantile: float, window: str, labels: str = "") -> str:
    """Return the time that this share of requests stays under, in seconds."""
    rate = _rate("windlass_request_duration_seconds_bucket", window, labels)
    return f"histogram_quantile({quantile:g}, sum by ({BY}, le) ({rate}))"


def mean_latency(window: str, labels: str = "") -> str:
    """Return the mean time of requests in seconds, for servers without a histogram of it."""
    return _mean("nv_inference_request_duration_us", window, labels)


def wait(window: str, labels: str = "") -> str:
    """Return the mean time that requests wait, in seconds."""
    return _mean("nv_inference_queue_duration_us", window, labels)


def batch_size(window: str, labels: str = "") -> str:
    """Return the mean number of rows that are executed together."""
    count = f"sum by ({BY}) ({_rate('nv_inference_count', window, labels)})"
    return f"{count} / (sum by ({BY}) ({_rate('nv_inference_exec_count', window, labels)}) > 0)"


def pending(labels: str = "") -> str:
    """Return the requests that wait now."""
    return f"sum by ({BY}) (nv_inference_pending_request_count{_selected(labels)})"


def language_latency(quantile: float, window: str, labels: str = "") -> str:
    """Return the same of vLLM."""
    rate = _rate("vllm:e2e_request_latency_seconds_bucket", window, labels)
    return f"histogram_quantile({quantile:g}, sum by (service, model_name, le) ({rate}))"


def _mean(metric: str, window: str, labels: str) -> str:
    total = f"sum by ({BY}) ({_rate(metric, window, labels)})"
    return f"{total} / (sum by ({BY}) ({_rate('nv_inference_request_success', window, labels)}) > 0) / 1e6"


def _rate(metric: str, window: str, labels: str) -> str:
    return f"rate({metric}{_selected(labels)}[{window}])"


def _selected(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""
