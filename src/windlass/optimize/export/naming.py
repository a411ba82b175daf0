"""Names in a graph of ONNX, where inputs, outputs and all inner values share one space.

Exporters name outputs as they are told, also where an inner value has that name already, and the file is not valid
then. So they are told stand-ins, and the names that clients know are put in their place afterwards.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def stand_ins(kind: str, names: Iterable[str]) -> dict[str, str]:
    """Return names that no inner value has, with those that they stand for."""
    return {f"windlass.{kind}.{place}": name for place, name in enumerate(names)}


def rename(file: Path, names: Mapping[str, str]) -> None:
    """Give values of a file other names; inner values that have one of those get another. Weights are not read."""
    import onnx

    model = onnx.load(str(file), load_external_data=False)
    there = set(_names(model.graph))
    taken = {*there, *names.values()}
    inner = {name: _free(name, taken) for name in there.intersection(names.values())}
    for graph in _graphs(model.graph):
        _rename(graph, {**inner, **names})
    onnx.save(model, str(file))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}.inner"
    taken.add(name)
    return name


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph, and those of its branches and loops, which see the names of those around them."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _graphs(inner)


def _named(graph: Any) -> Iterator[Any]:
    """Yield what has a name that values go by."""
    yield from (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    yield from (sparse.values for sparse in graph.sparse_initializer)


def _names(graph: Any) -> Iterator[str]:
    for one in _graphs(graph):
        yield from (value.name for value in _named(one))
        for node in one.node:
            yield from node.output


def _rename(graph: Any, changes: Mapping[str, str]) -> None:
    for value in _named(graph):
        value.name = changes.get(value.name, value.name)
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [changes.get(name, name) for name in ends]
