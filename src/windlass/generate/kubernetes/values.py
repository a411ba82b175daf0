"""What people change of a Helm chart: values taken out of the objects, with what stands in their place."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from windlass.generate.kubernetes.objects import COMPONENT, NAME, Object
from windlass.generate.kubernetes.server import COMPONENT as SERVER
from windlass.generate.text import yaml_text

_MARK = re.compile(r"'?HELM(\d+)HELM'?")
_BLOCK = re.compile(r"^( *)(\S+): HELM(\d+)BLOCK$", re.MULTILINE)
# Gateway API and Istio: where a host's name stands.
_HOSTS = {"HTTPRoute": "hostnames", "GRPCRoute": "hostnames", "VirtualService": "hosts"}


@dataclass
class Values:
    """The values of a chart, gathered while its objects are made into templates."""

    host: str | None
    tree: Object = field(default_factory=dict)
    _expressions: list[str] = field(default_factory=list)

    def template(self, declared: list[Object]) -> str:
        """Return objects as a template's text."""
        placed = [self._placed(_escaped(one)) for one in declared]
        text = _BLOCK.sub(self._block, yaml_text(*placed))
        return _MARK.sub(lambda found: self._expressions[int(found[1])], text)

    def _block(self, found: re.Match[str]) -> str:
        indent, key, number = found.groups()
        expression = self._expressions[int(number)]
        return f"{indent}{key}:\n{indent}  {{{{- toYaml {expression} | nindent {len(indent) + 2} }}}}"

    def _placed(self, one: Object) -> Object:
        kind, labels = one["kind"], one["metadata"]["labels"]
        if labels[COMPONENT] == SERVER and kind in ("Deployment", "StatefulSet"):
            self._workload(labels[NAME], one["spec"])
        elif kind == "HorizontalPodAutoscaler":
            self._autoscaler(labels[NAME], one["spec"])
        elif kind == "Deployment":
            self._gateway(one["spec"])
        elif kind in _HOSTS:
            self._routed(one, kind)
        elif kind == "Gateway" and self.host:
            self._doors(one["spec"])
        return one

    def _workload(self, service: str, spec: Object) -> None:
        container = next(one for one in spec["template"]["spec"]["containers"] if one["name"] == "server")
        path = ("services", service)
        container["image"] = self._image(path, container["image"])
        if "replicas" in spec:
            spec["replicas"] = self._out((*path, "replicas"), spec["replicas"])
        container["resources"] = self._out((*path, "resources"), container["resources"], block=True)

    def _autoscaler(self, service: str, spec: Object) -> None:
        for key in ("minReplicas", "maxReplicas"):
            spec[key] = self._out(("services", service, "autoscaling", key), spec[key])

    def _gateway(self, spec: Object) -> None:
        spec["replicas"] = self._out(("gateway", "replicas"), spec["replicas"])
        container = spec["template"]["spec"]["containers"][0]
        container["image"] = self._image(("gateway",), container["image"])

    def _routed(self, one: Object, kind: str) -> None:
        spec = one["spec"]
        if self.host and spec.get(_HOSTS[kind]) == [self.host]:
            spec[_HOSTS[kind]] = [self._host()]
        service = one["metadata"]["labels"][NAME]
        for rule in spec.get("rules", ()):
            self._weighed(service, rule["backendRefs"])

    def _weighed(self, service: str, backends: list[Object]) -> None:
        """Divide requests between a release and its canary by one value."""
        if len(backends) < 2:
            return
        expression = self._reference(("services", service, "canaryWeight"), 0)
        backends[0]["weight"] = self._marked(f"{{{{ sub 100 {expression} }}}}")
        backends[1]["weight"] = self._marked(f"{{{{ {expression} }}}}")

    def _doors(self, spec: Object) -> None:
        for listener in spec.get("listeners", ()):
            listener["hostname"] = self._host()
        for server in spec.get("servers", ()):
            server["hosts"] = [self._host()]

    def _host(self) -> str:
        return self._marked(f"{{{{ {self._reference(('gateway', 'host'), self.host)} | quote }}}}")

    def _image(self, path: tuple[str, ...], image: str) -> str:
        name, _, tag = image.rpartition(":")
        if not name or "/" in tag or "@" in image:
            return str(self._out((*path, "image"), image))
        repository = self._reference((*path, "image", "repository"), name)
        reference = self._reference((*path, "image", "tag"), tag)
        return self._marked(f'"{{{{ {repository} }}}}:{{{{ {reference} }}}}"')

    def _out(self, path: tuple[str, ...], value: Any, block: bool = False) -> str:
        expression = self._reference(path, value)
        if block:
            self._expressions.append(expression)
            return f"HELM{len(self._expressions) - 1}BLOCK"
        return self._marked(f"{{{{ {expression} }}}}")

    def _marked(self, expression: str) -> str:
        self._expressions.append(expression)
        return f"HELM{len(self._expressions) - 1}HELM"

    def _reference(self, path: tuple[str, ...], value: Any) -> str:
        """Put a value at its place, and return what names it in a template."""
        place = self.tree
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
        expression = ".Values"
        for key in path:
            # Names with a dash cannot stand behind a dot.
            expression = f'(index {expression} "{key}")' if "-" in key else f"{expression}.{key}"
        return expression


def schema(value: Any) -> Object:
    """Return the JSON schema of values: the same keys and kinds of values, and no others but inside `resources`."""
    if isinstance(value, dict):
        properties = {key: {"type": "object"} if key == "resources" else schema(one) for key, one in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    if isinstance(value, bool):
        return {"type": "boolean"}
    return {"type": "integer", "minimum": 0} if isinstance(value, int) else {"type": "string"}


def schema_text(values: Object) -> str:
    """Return the schema as a file."""
    return json.dumps({"$schema": "https://json-schema.org/draft-07/schema#", **schema(values)}, indent=2) + "\n"


def _escaped(value: Any) -> Any:
    """Return a copy in which nothing looks like a template."""
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value.replace("{{", "{{ `{{` }}") if isinstance(value, str) else value
