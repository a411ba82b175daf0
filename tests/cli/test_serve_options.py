"""Start commands of tritonserver mean the same here, or are told what they cannot have."""

import logging
from pathlib import Path

import click
import pytest

from windlass.cli.options import SECTIONS, tritonserver
from windlass.cli.options.repository import repositories
from windlass.cli.serve import serve
from windlass.errors import UsageError
from windlass.serving.grpc import GrpcTls
from windlass.serving.limits import ResourceLimit
from windlass.serving.server import ServerSettings

# Every option that tritonserver knows.
KNOWN = """
--help --id --model-repository --model-store --exit-on-error --exit-timeout-secs --strict-readiness
--disable-auto-complete-config --strict-model-config --model-control-mode --repository-poll-secs --load-model
--model-config-name --model-load-thread-count --model-load-retry-count --model-namespacing --enable-peer-access
--allow-http --http-address --http-port --reuse-http-port --http-thread-count --http-max-input-size
--http-header-forward-pattern --http-restricted-api --allow-grpc --grpc-address --grpc-port --reuse-grpc-port
--grpc-infer-thread-count --grpc-infer-allocation-pool-size --grpc-max-response-pool-size --grpc-use-ssl
--grpc-use-ssl-mutual --grpc-server-cert --grpc-server-key --grpc-root-cert --grpc-infer-response-compression-level
--grpc-keepalive-time --grpc-keepalive-timeout --grpc-keepalive-permit-without-calls
--grpc-http2-max-pings-without-data --grpc-http2-min-recv-ping-interval-without-data --grpc-http2-max-ping-strikes
--grpc-max-connection-age --grpc-max-connection-age-grace --grpc-header-forward-pattern --grpc-restricted-protocol
--log-verbose --log-info --log-warning --log-error --log-format --log-file --allow-metrics --allow-gpu-metrics
--allow-cpu-metrics --metrics-address --metrics-port --metrics-interval-ms --metrics-config --trace-config
--trace-file --trace-level --trace-rate --trace-count --trace-log-frequency --cache-config --cache-directory
--response-cache-byte-size --rate-limit --rate-limit-resource --pinned-memory-pool-byte-size
--cuda-memory-pool-byte-size --cuda-virtual-address-size --min-supported-compute-capability
--buffer-manager-thread-count --model-load-gpu-limit --host-policy --allow-client-shm --backend-directory
--repoagent-directory --backend-config --allow-sagemaker --sagemaker-port --sagemaker-safe-port-range
--sagemaker-thread-count --allow-vertex-ai --vertex-ai-port --vertex-ai-thread-count --vertex-ai-default-model
"""


def values(*arguments: str) -> dict[str, object]:
    return serve.make_context("serve", list(arguments)).params


def settings(*arguments: str) -> ServerSettings:
    given = values("models", *arguments)
    told: dict[str, object] = {}
    for section in SECTIONS:
        told |= section.settings(given)
    return ServerSettings(**told)


def test_every_option_of_tritonserver_is_known():
    ours = {name for param in serve.params for name in param.opts} | {"--help"}
    assert set(KNOWN.split()) - ours == set()


def test_what_has_no_effect_and_what_is_refused_says_why():
    for name, why in {**tritonserver.NO_EFFECT, **tritonserver.REFUSED}.items():
        assert len(why) > 15, name
    assert not tritonserver.NO_EFFECT.keys() & tritonserver.REFUSED.keys()


@pytest.mark.parametrize(
    "words", [("--strict-readiness=false",), ("--strict-readiness", "False"), ("--strict-readiness=0",)]
)
def test_truth_values_are_words(words):
    assert settings(*words).strict_readiness is False


def test_a_truth_value_may_stand_alone_wherever_it_stands():
    assert settings("--exit-on-error").exit_on_error
    assert values("--exit-on-error", "models")["repository"] == ("models",)
    with pytest.raises(click.BadParameter, match="expected true or false, got `maybe`"):
        values("models", "--exit-on-error=maybe")


def test_the_cache_is_told_its_size_in_either_way():
    assert settings("--cache-config", "local,size=1048576").cache_bytes == 1 << 20
    assert settings("--response-cache-byte-size=512").cache_bytes == 512
    with pytest.raises(UsageError, match="there is no cache `redis`"):
        settings("--cache-config=redis,host=localhost")
    with pytest.raises(UsageError, match="expected `local,size=BYTES`, got `local,size=much`"):
        settings("--cache-config=local,size=much")
    with pytest.raises(UsageError, match="exclude each other"):
        settings("--cache-config=local,size=1", "--response-cache-byte-size=1")


def test_resources_are_limited_as_tritonserver_is_told():
    given = settings("--rate-limit=execution_count", "--rate-limit-resource=R1:10", "--rate-limit-resource", "R2:5:1")
    assert given.rate_limit
    assert given.resource_limits == (ResourceLimit("R1", 10), ResourceLimit("R2", 5, 1))
    assert not settings("--rate-limit=off", "--rate-limit-resource=R1:10").rate_limit
    with pytest.raises(click.BadParameter, match="execution_count"):
        settings("--rate-limit=sometimes")
    for text in ("R1", "R1:many", "R1:1:2:3", ":1", "R1:-1"):
        with pytest.raises(UsageError, match=f"expected `<resource>:<count>:<device>` .*, got `{text}`"):
            settings(f"--rate-limit-resource={text}")


def test_how_long_a_network_thread_looks_has_a_bound():
    assert settings("--busy-poll-us=0").busy_poll_us == 0
    with pytest.raises(click.BadParameter, match="1001 is not in the range"):
        settings("--busy-poll-us=1001")


def test_hosts_are_told_their_policies():
    given = settings("--host-policy=gpu_0,cpu-cores=0-3", "--host-policy", "cpu,numa-node=0")
    assert given.host_policies == ("gpu_0,cpu-cores=0-3", "cpu,numa-node=0")


def test_answers_of_grpc_are_compressed_as_told():
    assert settings("--grpc-infer-response-compression-level=high").grpc.compression_level == "high"
    with pytest.raises(click.BadParameter, match="'most' is not one of 'none', 'low', 'medium', 'high'"):
        settings("--grpc-infer-response-compression-level=most")


def test_traces_are_set_up_in_either_way():
    assert settings("--trace-config", "level=TIMESTAMPS", "--trace-config=triton,file=t.json").trace_config == (
        "level=TIMESTAMPS",
        "triton,file=t.json",
    )
    assert settings("--trace-level=OFF", "--trace-log-frequency=2", "--trace-config=rate=1").trace_config == (
        "level=OFF",
        "triton,log-frequency=2",
        "rate=1",
    )


@pytest.mark.parametrize(("word", "level"), [("2", 2), ("true", 1), ("false", 0)])
def test_the_log_is_set_up(word, level):
    given = settings(f"--log-verbose={word}", "--log-info=false", "--log-file=/tmp/x", "--log-format=ISO8601")
    assert (given.log_verbose, given.log_info, given.log_file, given.log_format) == (level, False, "/tmp/x", "ISO8601")
    with pytest.raises(click.BadParameter, match="expected a number that is not negative, got `-1`"):
        settings("--log-verbose=-1")


def test_doors_are_told_what_to_forward_and_whom_to_refuse():
    given = settings(
        "--http-header-forward-pattern=x-.*", "--grpc-header-forward-pattern", "y-.*",
        "--http-restricted-api=health,metadata:key=value", "--http-restricted-api=trace:key=value",
        "--grpc-restricted-protocol=inference:key=value",
    )  # fmt: skip
    assert (given.http_header_forward_pattern, given.grpc_header_forward_pattern) == ("x-.*", "y-.*")
    assert given.http_restricted_api == ("health,metadata:key=value", "trace:key=value")
    assert given.grpc_restricted_protocol == ("inference:key=value",)


def test_both_spellings_of_values_mean_the_same():
    assert settings("--http-port=81", "--id=x") == settings("--http-port", "81", "--id", "x")


def test_nothing_said_is_what_the_server_does_anyway():
    assert settings() == ServerSettings()


def test_a_start_command_of_tritonserver_works_as_it_is(caplog):
    with caplog.at_level(logging.WARNING, "windlass"):
        given = settings(
            "--model-store=other", "--allow-http=true", "--allow-grpc=false", "--metrics-port", "8102",
            "--http-address", "0.0.0.0", "--http-thread-count=64", "--model-control-mode=explicit", "--load-model=a",
            "--load-model", "b", "--strict-model-config=false", "--exit-timeout-secs=5",
            "--pinned-memory-pool-byte-size=268435456", "--cuda-memory-pool-byte-size=0:67108864",
            "--allow-sagemaker=false",
            "--backend-config=python,shm-default-byte-size=1048576", "--backend-config=default-max-batch-size=8",
        )  # fmt: skip
    assert given.grpc_port is None
    assert given.http_address == given.metrics_address == "0.0.0.0"
    assert given.models == ("a", "b")
    assert given.complete_config
    assert given.backend_settings == {
        "python": {"shm-default-byte-size": "1048576"},
        "": {"default-max-batch-size": "8"},
    }
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "`--pinned-memory-pool-byte-size` has no effect",
        "`--cuda-memory-pool-byte-size` has no effect",
    ]


def test_repositories_are_named_in_every_way_there_is():
    given = values("a", "--model-repository=b", "--model-store", "c")
    assert repositories(given) == [Path("a"), Path("b"), Path("c")]
    with pytest.raises(UsageError, match="`s3://bucket/models` is not on this machine"):
        repositories(values("s3://bucket/models"))


def test_models_named_for_start_up_need_the_mode_that_loads_them(caplog):
    assert settings("--load-model=a").models == ()
    assert "`--load-model` has a meaning with" in caplog.text
    assert settings("--model=a").models == ("a",)


def test_all_models_are_named_alone():
    explicit = "--model-control-mode=explicit"
    assert settings(explicit, "--load-model=*").models == ("*",)
    with pytest.raises(UsageError, match="`\\*` is every model, and stands alone"):
        settings(explicit, "--load-model=*", "--load-model=a")


def test_completing_is_turned_off_by_either_name():
    for arguments in (["--disable-auto-complete-config"], ["--strict-model-config=true"]):
        assert not settings(*arguments).complete_config


def test_what_is_not_offered_is_refused_with_what_to_do_instead():
    with pytest.raises(UsageError, match="option `--model-namespacing` is not offered") as refusal:
        settings("--model-namespacing=true")
    assert refusal.value.hint == "give models in different repositories different names"


def test_tls_needs_its_files():
    assert settings("--grpc-use-ssl=false", "--grpc-server-cert=a.pem").grpc.tls is None
    with pytest.raises(UsageError, match="option `--grpc-use-ssl` needs `--grpc-server-key`"):
        settings("--grpc-use-ssl", "--grpc-server-cert=a.pem")
    with pytest.raises(UsageError, match="option `--grpc-use-ssl-mutual` needs `--grpc-root-cert`"):
        settings("--grpc-use-ssl-mutual", "--grpc-server-cert=a.pem", "--grpc-server-key=a.key")
    files = ("--grpc-server-cert=a.pem", "--grpc-server-key=a.key", "--grpc-root-cert=b.pem")
    tls = settings("--grpc-use-ssl", *files).grpc.tls
    assert tls == GrpcTls(Path("a.pem"), Path("a.key"))
