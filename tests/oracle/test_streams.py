"""Streams of windlass and of the real Triton: `generate`, `generate_stream` and `ModelStreamInfer`, answer by answer."""

import http.client
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc

from oracle.cases import Rest, Rpc
from oracle.meant_streams import MEANT
from oracle.servers import ask_rpc, needs_triton, served
from oracle.stream_cases import Stream, generate_cases, stream_cases, unary_cases
from oracle.stream_models import MODELS

pytestmark = needs_triton

# The real server did not outlive a case.
ENDED = (0, "", "")


def write_models(folder: Path) -> None:
    for name, (source, config) in MODELS.items():
        (folder / name / "1").mkdir(parents=True)
        if source:
            (folder / name / "1" / "model.py").write_text(source)
            config = f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}'
        (folder / name / "config.pbtxt").write_text(config)


def ask_rest(port: int, case: Rest) -> tuple[int, str | None, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(case.method, case.path, case.body, case.headers)
        response = connection.getresponse()
        return (
            response.status,
            response.headers.get("Content-Type"),
            without_places(response.read().decode(errors="replace")),
        )


def ask_stream(channel: grpc.Channel, case: Stream) -> tuple[str, str, list[str]]:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    answers = []
    call = stub.ModelStreamInfer(iter(case.messages), metadata=case.metadata, timeout=20)
    try:
        for answer in call:
            answers.append(without_places(str(answer)))
    except grpc.RpcError as error:
        return error.code().name, without_places(error.details() or ""), answers
    return "OK", "", answers


def without_places(text: str) -> str:
    """Where a model file lies, at which line it failed, and how long anything took is not compared."""
    text = re.sub(r'"(ns|last_inference)":[0-9]+', r'"\1":1', text)
    return re.sub(r"\\n\\nAt:\\n(\\\\.|[^\"\\])*|\n\nAt:\n.*", "", text, flags=re.DOTALL)


def ask_all(which: str, folder: Path) -> dict[str, Any]:
    """The installed server does not outlive every stream that ends with an error: it is started anew, and asked once more."""
    answers: dict[str, Any] = {}
    tried: set[str] = set()
    questions = all_questions()
    while rest := [name for name in questions if name not in answers]:
        with served(which, folder / f"{which}{len(tried)}", write_models) as server:
            for name in rest:
                answer = questions[name](server.port, server.channel)
                if not is_gone(answer):
                    answers[name] = answer
                    continue
                if name in tried:
                    answers[name] = ENDED
                tried.add(name)
                break
    return answers


def all_questions() -> dict[str, Callable[[int, grpc.Channel], Any]]:
    questions: dict[str, Callable[[int, grpc.Channel], Any]] = {}
    for rest in generate_cases():
        questions[f"REST {rest.name}"] = lambda port, _, case=rest: ask_rest(port, case)
    for name, message in unary_cases().items():
        unary = Rpc(name, "ModelInfer", message)
        questions[f"gRPC {name}"] = lambda _, channel, case=unary: ask_rpc(channel, case)
    for stream in stream_cases():
        questions[f"stream {stream.name}"] = lambda _, channel, case=stream: ask_stream(channel, case)
    return questions


def is_gone(answer: tuple[Any, ...]) -> bool:
    """Whether there was no server to answer."""
    return answer[0] == "UNAVAILABLE" and re.search(r"Socket closed|failed to connect|recvmsg", answer[1]) is not None


def test_windlass_streams_as_the_real_triton_does(tmp_path: Path) -> None:
    answers = {which: ask_all(which, tmp_path) for which in ("triton", "windlass")}

    assert ENDED not in answers["windlass"].values()
    assert list(answers["triton"].values()).count(ENDED) < len(answers["triton"]) / 20
    different = []
    used = set()
    for name, theirs in answers["triton"].items():
        ours = answers["windlass"][name]
        if theirs in (ours, ENDED):
            continue
        reasons = {reason for reason, meant in MEANT.items() if meant.holds(theirs, ours)}
        if reasons:
            used |= reasons
        else:
            different.append(f"{name}\n    triton:   {theirs}\n    windlass: {ours}")
    assert not different, f"{len(different)} of {len(answers['triton'])} answers differ:\n" + "\n".join(different)
    assert used == set(MEANT), f"no longer needed: {sorted(set(MEANT) - used)}"
