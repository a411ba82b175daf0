"""Options of tritonserver that are not among ours: what they are for does not exist here, or is not offered.

What has no effect is accepted with a line in the log, so that a start command that worked goes on working. What would
make a server do other than was asked is refused, with what to do instead.
"""

import logging

import click

from windlass.cli.options.option import WORDS, Section, Settings, Values, option
from windlass.errors import UsageError

log = logging.getLogger("windlass")

_NO_POOLS = "memory for tensors is taken as it is needed, not from a pool"
_NO_LIBRARIES = "there are no shared libraries to be found"

NO_EFFECT = {
    "--backend-directory": f"{_NO_LIBRARIES}: backends are Python packages, `pip install 'windlass[onnx]'`",
    "--repoagent-directory": f"{_NO_LIBRARIES}: repository agents are not offered",
    "--cache-directory": f"{_NO_LIBRARIES}: the cache is built in",
    "--pinned-memory-pool-byte-size": _NO_POOLS,
    "--cuda-memory-pool-byte-size": _NO_POOLS,
    "--cuda-virtual-address-size": "implicit states lie in ordinary memory",
    "--buffer-manager-thread-count": "tensors are put together on the thread that executes the model",
    "--enable-peer-access": "tensors are not passed between GPUs",
    "--min-supported-compute-capability": "the framework of each model decides which GPUs it can use",
    "--model-load-gpu-limit": "memory of GPUs belongs to the framework of each model; limit it there",
    "--grpc-infer-thread-count": "--network-threads serve REST and gRPC alike",
    "--grpc-infer-allocation-pool-size": "requests are not kept for reuse",
    "--grpc-max-response-pool-size": "answers of a stream wait for their reader, not in a pool",
    "--grpc-http2-min-recv-ping-interval-without-data": "no client is turned away for its pings",
    "--grpc-http2-max-ping-strikes": "no client is turned away for its pings",
    "--grpc-http2-max-pings-without-data": "pings are few: --grpc-keepalive-time says how often they are sent",
    "--sagemaker-port": "see --allow-sagemaker",
    "--sagemaker-safe-port-range": "see --allow-sagemaker",
    "--sagemaker-thread-count": "see --allow-sagemaker",
    "--vertex-ai-port": "see --allow-vertex-ai",
    "--vertex-ai-thread-count": "see --allow-vertex-ai",
    "--vertex-ai-default-model": "see --allow-vertex-ai",
}

# What is refused, and what to do instead. A truth value that says no asks for nothing and is accepted.
REFUSED = {
    "--model-namespacing": "give models in different repositories different names",
    "--allow-sagemaker": "serve the protocol itself: SageMaker's container API is not offered",
    "--allow-vertex-ai": "serve the protocol itself: Vertex AI's container API is not offered",
}


def _declared(table: dict[str, str]) -> tuple[click.Option, ...]:
    return tuple(
        option(name, multiple=True, metavar="VALUE", help=f"{why[0].upper()}{why[1:]}.") for name, why in table.items()
    )


def _given(values: Values, name: str) -> tuple[str, ...]:
    return tuple(values[name.removeprefix("--").replace("-", "_")])


def _remark(values: Values) -> Settings:
    for name, why in NO_EFFECT.items():
        if _given(values, name):
            log.warning("`%s` has no effect: %s", name, why)
    return {}


def _refuse(values: Values) -> Settings:
    for name, instead in REFUSED.items():
        if any(WORDS.get(value.lower(), True) for value in _given(values, name)):
            raise UsageError(f"option `{name}` is not offered", hint=instead)
    return {}


WITHOUT_EFFECT = Section("Options of tritonserver without effect", _declared(NO_EFFECT), _remark)
NOT_OFFERED = Section("Options of tritonserver that are not offered", _declared(REFUSED), _refuse)
