"""The same ``model.py`` files under windlass and under the real Triton: what models see, and what comes of what they do.

The models execute the code they are sent: they say what it found, or answer as it wants. Runs where ``make oracle`` has
installed the real server.
"""

import http.client
import json
import re
from pathlib import Path
from typing import Any

from oracle.cases import Rest
from oracle.python_cases import CASES, Case
from oracle.python_models import MODELS
from oracle.servers import ask_rest, needs_triton, served

pytestmark = needs_triton

# The real server did not outlive a case.
ENDED = 0


def write_models(folder: Path) -> None:
    for name, (source, config) in MODELS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(source)
        (folder / name / "config.pbtxt").write_text(f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}')


def ask(port: int, case: Case) -> tuple[int, Any]:
    code = {"name": "CODE", "shape": [1], "datatype": "BYTES", "data": [case.code]}
    body = {"id": "seven", "parameters": {"a": 1, "b": "x", "c": True}, "inputs": [code]}
    status, answer = ask_rest(
        port, Rest(case.name, "POST", f"/v2/models/{case.model}/infer", json.dumps(body).encode())
    )
    return status, readable(answer)


def readable(answer: Any) -> Any:
    """Where a model file lies, and at which line it failed, is not compared."""
    if not isinstance(answer, dict):
        return answer
    if "error" in answer:
        return without_places(answer["error"])
    outputs = [[without_places(said) for said in output["data"]] for output in answer["outputs"]]
    return [answer.get("parameters", {}), *outputs]


def without_places(text: str) -> str:
    return re.sub(r"\n\nAt:\n.*", "", text, flags=re.DOTALL).rstrip()


def test_models_see_what_they_see_under_the_real_triton(tmp_path: Path) -> None:
    answers = {which: ask_all(which, tmp_path) for which in ("triton", "windlass")}

    assert all(status != ENDED for status, _ in answers["windlass"].values())
    assert sum(status == ENDED for status, _ in answers["triton"].values()) < len(CASES) / 10
    different = [
        f"{name}\n    triton:   {theirs}\n    windlass: {answers['windlass'][name]}"
        for name, theirs in answers["triton"].items()
        if theirs != answers["windlass"][name] and theirs[0] != ENDED
    ]
    assert not different, f"{len(different)} of {len(CASES)} answers differ:\n" + "\n".join(different)


def ask_all(which: str, folder: Path) -> dict[str, Any]:
    """The real server ends now and then over what models do: it is started anew, and asked once more."""
    answers: dict[str, Any] = {}
    tried: list[str] = []
    while rest := [case for case in CASES if case.name not in answers]:
        with served(which, folder / f"{which}{len(tried)}", write_models) as server:
            for case in rest:
                try:
                    answers[case.name] = ask(server.port, case)
                except (OSError, http.client.HTTPException) as error:
                    if case.name in tried:
                        answers[case.name] = (ENDED, type(error).__name__)
                    tried.append(case.name)
                    break
    return answers
