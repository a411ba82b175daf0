"""The commands as a user types them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from windlass.cli import output
from windlass.cli.main import VERBS

WINDLASS = str(Path(sys.executable).with_name("windlass"))


def windlass(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([WINDLASS, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False)


def test_help_lists_the_verbs_and_imports_no_framework():
    done = windlass("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S", done.stdout, re.MULTILINE)
    heavy = "{'numpy', 'torch', 'onnxruntime', 'google.protobuf', 'pydantic', 'yaml'}"
    code = f"import sys, windlass.cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_page_that_is_documented(verb):
    done = windlass(verb, "--help")
    assert done.returncode == 0
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    assert done.stdout.strip() in page, f"`make docs` writes the page of `windlass {verb}`"


def test_the_version_is_told():
    assert re.fullmatch(r"windlass \d+\.\d+\.\d+\n", windlass("version").stdout)
    assert "python" in json.loads(windlass("version", "--json").stdout)


def test_check_tells_every_problem_with_its_place(repository):
    repository.add_identity("good")
    repository.add("bad", "import nothing_of_that_name")
    repository.add("typo", "", "max_batch_sizes: 8")

    done = windlass("check", repository.path)

    assert done.returncode == 1
    assert "No module named 'nothing_of_that_name'" in done.stdout
    assert re.search(r"typo/config\.pbtxt:1: `max_batch_sizes` is no field of ModelConfig", done.stdout)
    assert "hint: did you mean `max_batch_size`?" in done.stdout
    assert "3 models, 2 errors" in done.stdout
    found = json.loads(windlass("check", "--json", repository.path).stdout)
    assert len(found["findings"]) == 2


def test_check_is_content_with_a_good_repository_and_cannot_check_none(repository, tmp_path):
    repository.add_identity("good")
    assert windlass("check", repository.path).returncode == 0
    done = windlass("check", tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: `")
    assert "hint: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "no model repository was named"),
        (("/nothing",), "is no model repository"),
        (("/nothing", "--cache-config=redis,host=here"), "there is no cache `redis`"),
        (("/nothing", "--allow-sagemaker=true"), "option `--allow-sagemaker` is not offered"),
    ],
)
def test_serve_says_what_it_cannot_do(arguments, text):
    done = windlass("serve", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


class Serving:
    """``windlass serve`` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [WINDLASS, "serve", *map(str, arguments), "--http-port=0", "--grpc-port=0", "--metrics-port=0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if "serving" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:\d+", self.lines[-1])
        assert found, self.lines
        self.url = found[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait(self) -> int:
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_when_all_is_answered(repository, number):
    slow = (
        "import pathlib, time\nimport windlass\nfrom windlass import Tensor\n\n@windlass.model\n"
        'def slow(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:\n'
        "    pathlib.Path(__file__).with_name('started').touch()\n    time.sleep(0.5)\n    return x\n"
    )
    folder = repository.add("slow", slow)
    with Serving(repository.path) as serving:
        asking = subprocess.Popen(
            [WINDLASS, "infer", "slow", "-i", "[7]", "--url", serving.url, "--json"], stdout=subprocess.PIPE
        )
        while not (folder / "1" / "started").exists():
            assert asking.poll() is None
            time.sleep(0.01)
        serving.process.send_signal(number)
        assert serving.wait() == 0
        assert json.loads(asking.communicate()[0]) == {"output": [7.0]}


def test_a_second_signal_ends_it_at_once(repository):
    hangs = (
        "import pathlib, time\nimport windlass\nfrom windlass import Tensor\n\n@windlass.model\n"
        'def hangs(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:\n'
        "    pathlib.Path(__file__).with_name('started').touch()\n    time.sleep(60)\n    return x\n"
    )
    folder = repository.add("hangs", hangs)
    with (
        Serving(repository.path) as serving,
        subprocess.Popen(
            [WINDLASS, "infer", "hangs", "-i", "[7]", "--url", serving.url], stderr=subprocess.DEVNULL
        ) as asking,
    ):
        while not (folder / "1" / "started").exists():
            time.sleep(0.01)
        serving.process.send_signal(signal.SIGTERM)
        for line in serving.process.stderr:
            if "finishing" in line:
                break
        serving.process.send_signal(signal.SIGTERM)
        assert serving.wait() == 128 + signal.SIGTERM
        asking.kill()


def test_logs_are_json_where_asked(repository):
    repository.add_identity("echo")
    with Serving(repository.path, "--json-logs") as serving:
        last = json.loads(serving.lines[-1])
        assert last["models"] == {"echo": [1]}
        with urllib.request.urlopen(f"{serving.url}/v2/health/ready") as response:
            assert response.status == 200


def test_infer_takes_json_arrays_and_text_from_the_terminal_and_from_files(repository, serve, tmp_path):
    repository.add_identity("echo")
    repository.add_identity("words", "STRING")
    url = serve().url()
    np.save(tmp_path / "x.npy", np.ones((1, 2), np.float32))
    (tmp_path / "text.txt").write_text("hello")

    assert json.loads(windlass("infer", "echo", "-i", "[[1, 2]]", "-u", url, "--json").stdout) == {
        "OUTPUT0": [[1.0, 2.0]]
    }
    assert "1x2" in windlass("infer", "echo", "-i", tmp_path / "x.npy", "-u", url).stdout
    assert json.loads(windlass("infer", "words", "-i", tmp_path / "text.txt", "-u", url, "--json").stdout) == {
        "OUTPUT0": ["hello"]
    }
    done = windlass("infer", "echo", "-u", url)
    assert done.returncode == 2
    assert "hint: it has INPUT0 (FP32 [-1, -1])" in done.stderr
    done = windlass("infer", "echo", "-i", "[1", "-u", url)
    assert done.returncode == 2
    assert "is neither a file nor JSON" in done.stderr


def test_python_m_windlass_is_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "windlass", "version"], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.startswith("windlass ")


@pytest.mark.slow
def test_the_demo_trains_serves_and_measures():
    done = windlass("demo", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert {figure["protocol"] for figure in figures} == {"REST", "gRPC"}
    assert all(figure["accuracy"] > 0.9 for figure in figures)


def test_a_table_cuts_no_number_off(capsys):
    columns = [f"column {place}" for place in range(20)]
    output.table(columns, [["1,234.56 MiB"] * 20])
    shown = capsys.readouterr().out
    assert shown.count("1,234.56 MiB") == 20
    assert all(name in shown for name in columns)
