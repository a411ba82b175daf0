"""Who imports whom, held by the syntax tree; see docs/architecture.md."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "windlass"

ROWS = {
    "errors": 1,
    "config": 2,
    "repository": 3,
    "samples": 3,
    "release": 4,
    "backends": 5,
    "generate": 5,
    "report": 5,
    "client": 5,
    "serving": 6,
    "targets": 6,
    "bench": 7,
    "demo": 7,
    "doctor": 7,
    "formats": 7,
    "optimize": 8,
    "cli": 9,
}

ONLY = {
    "_plane": {"serving", "bench/load.py"},
    "torch": {"backends/pytorch.py", "demo/digits.py", "doctor/probe.py", "formats", "optimize"},
    "onnxruntime": {"backends/onnxruntime.py", "doctor/probe.py", "formats/tabular/rows.py", "optimize"},
    "openvino": {"backends/openvino.py"},
    "nncf": {"optimize/quantize/openvino.py"},
    "torchao": {"optimize/quantize/pytorch.py"},
    "click": {"cli"},
    "rich": {"cli/output.py"},
    "httpx": {"client.py"},
    "subprocess": {"backends/python/environment.py", "targets/shell.py"},
    "jinja2": {"generate/text.py", "report/page.py"},
    "pydantic": {"config/project"},
    "yaml": {"config/yaml_text.py", "generate/text.py"},
}


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if not path.name.endswith("_pb2.py")]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_a_row_imports_only_rows_below_it():
    faults = []
    for path in sources():
        home = part(path)
        if home not in ROWS:
            continue
        for name in imports(path):
            target = name.split(".")[1] if name.startswith("windlass.") else None
            if target in ROWS and target != home and ROWS[target] >= ROWS[home]:
                faults.append(f"{path.relative_to(ROOT)} imports windlass.{target}")
    assert not faults


def test_what_has_one_home_is_imported_there_only():
    faults = []
    for path in sources():
        place = str(path.relative_to(PACKAGE))
        for name in imports(path):
            module = name.removeprefix("windlass.").split(".")[0]
            homes = ONLY.get(module)
            if homes is not None and not any(place.startswith(home) for home in homes) and place != "__init__.py":
                faults.append(f"{place} imports {module}")
    assert not faults


def test_only_the_command_line_prints():
    for path in sources():
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        printed = any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
        assert not printed or path == PACKAGE / "cli" / "output.py", path


def test_files_stay_small():
    rust = [path for path in (ROOT / "rust").glob("*/src/**/*.rs") if "tests" not in path.name]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*sources(), *rust]
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert not long


def test_every_package_has_a_docstring():
    for path in sources():
        assert ast.get_docstring(ast.parse(path.read_text())), path
