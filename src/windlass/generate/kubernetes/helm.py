"""A Helm chart: the same objects as templates, and as values what people change."""

from windlass.generate.kubernetes import secrets
from windlass.generate.kubernetes.manifests import Manifests, manifests
from windlass.generate.kubernetes.objects import cluster
from windlass.generate.kubernetes.plain import head
from windlass.generate.kubernetes.readme import readme
from windlass.generate.kubernetes.server import namespaces
from windlass.generate.kubernetes.values import Values, schema_text
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

_NAMESPACES = "namespaces"


def files(release: Release) -> Files:
    """Return the chart."""
    found = manifests(release)
    gateway = release.project.gateway
    values = Values(gateway.host if gateway else None)
    templates = {f"templates/{path}.yaml": _template(release, values, path, found) for path in found}
    if _NAMESPACES in found:
        values.tree[_NAMESPACES] = {"create": False}
    texts = {
        "README.md": readme(release, found, _apply(release)),
        "Chart.yaml": _chart(release),
        "values.yaml": yaml_text(_commented(values), comment=_values_head(release)),
        "values.schema.json": schema_text(values.tree),
        "templates/NOTES.txt": _notes(release),
    }
    return {**texts, **templates}


def _template(release: Release, values: Values, path: str, found: Manifests) -> str:
    comment = "".join(f"# {line}\n" for line in head(release, path).splitlines())
    text = comment + values.template(found[path])
    return f"{{{{- if .Values.namespaces.create }}}}\n{text}{{{{- end }}}}\n" if path == _NAMESPACES else text


def _commented(values: Values) -> dict[str, object]:
    tree = dict(values.tree)
    if _NAMESPACES not in tree:
        return tree
    created = tree.pop(_NAMESPACES)
    told = (
        "Whether the chart makes the namespaces, with the labels that refuse pods which are less confined.\n"
        "Not the one that Helm keeps its own records in: that must be there before."
    )
    return {**tree, "#namespaces": told, _NAMESPACES: created}


def _chart(release: Release) -> str:
    project = release.project
    chart = {
        "apiVersion": "v2",
        "name": project.name,
        "description": f"Model servers of {project.name}, for target {release.target_name}",
        "type": "application",
        "version": release.version,
        "appVersion": project.image.tag or release.version,
        "kubeVersion": ">=1.29.0-0",
        **({"sources": [project.image.source]} if project.image.source else {}),
    }
    return yaml_text(chart, comment=head(release, "Chart"))


def _values_head(release: Release) -> str:
    return f"{head(release, 'Values')}\nWhat is not here is changed in windlass.yaml."


def _apply(release: Release) -> str:
    target = cluster(release)
    context = f" --kube-context={target.context}" if target.context else ""
    return f"helm{context} upgrade --install --namespace={target.namespace} {release.project.name} ."


def _notes(release: Release) -> str:
    """Return what Helm says when it is done."""
    gateway = release.project.gateway
    place = cluster(release).namespace
    lines = [f"{release.project.name} is being started in {', '.join(namespaces(release))}."]
    if gateway and gateway.host:
        scheme = "https" if gateway.tls else "http"
        lines.append(f"Clients ask {scheme}://{gateway.host}/v2/models/MODEL/infer when the gateway has that name.")
    lines.append("Watch it:")
    lines += [f"  kubectl --namespace={one} get pods --watch" for one in namespaces(release)]
    missing = secrets.missing(release)
    if missing:
        lines.append("These Secrets must be there, see README.md: " + ", ".join(one.name for one in missing) + ".")
    lines.append(f"Take it away with `helm uninstall --namespace={place} {release.project.name}`; volumes stay.")
    return "\n".join(lines) + "\n"
