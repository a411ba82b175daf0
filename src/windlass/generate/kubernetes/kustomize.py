"""A kustomize tree: a base with what all targets have, and an overlay for each target with what it has of its own."""

from dataclasses import dataclass, field

from windlass.config.project import KubernetesTarget
from windlass.generate.kubernetes.manifests import Manifests, manifests
from windlass.generate.kubernetes.objects import Object, bare, cluster
from windlass.generate.kubernetes.patches import difference
from windlass.generate.kubernetes.plain import head
from windlass.generate.kubernetes.readme import readme
from windlass.generate.kubernetes.server import namespaces
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

# What tells an object from others; its namespace too, where there are several.
Key = tuple[str, str, str]
_HEAD = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


@dataclass(frozen=True, slots=True)
class Overlay:
    """A target of the tree: its objects by their key, with the file that each is in."""

    release: Release
    objects: dict[Key, tuple[str, Object]] = field(default_factory=dict)


def files(release: Release) -> Files:
    """Return the tree. It is the same for every target that is in it."""
    members = sorted((release, *filter(_kustomized, release.siblings)), key=_order)
    alone = all(len(namespaces(one)) == 1 for one in members)
    overlays = [Overlay(one, _keyed(manifests(one), alone)) for one in members]
    common = [key for key in overlays[0].objects if all(key in one.objects for one in overlays)]
    base = {key: overlays[0].objects[key] for key in common if key[0] != "Namespace"}
    texts = _base(overlays[0].release, base)
    for overlay in overlays:
        folder = f"overlays/{overlay.release.target_name}"
        texts |= {f"{folder}/{path}": text for path, text in _overlay(overlay, base, alone).items()}
    return texts


def _kustomized(release: Release) -> bool:
    return isinstance(release.target, KubernetesTarget) and release.target.layout == "kustomize"


def _order(release: Release) -> int:
    return list(release.project.targets).index(release.target_name)


def _keyed(found: Manifests, alone: bool) -> dict[Key, tuple[str, Object]]:
    """Return objects by their key; where a release has one namespace, it is the overlay that says which."""
    result: dict[Key, tuple[str, Object]] = {}
    for path, declared in found.items():
        for one in declared:
            metadata = dict(one["metadata"])
            namespace = metadata.pop("namespace", "") if alone else metadata.get("namespace", "")
            key = (one["kind"], metadata["name"], "" if alone else namespace)
            result[key] = (path, {**one, "metadata": metadata})
    return result


def _base(release: Release, base: dict[Key, tuple[str, Object]]) -> Files:
    grouped = _grouped(base)
    texts = _written(grouped, "base", f"of project `{release.project.name}`, for every target")
    listed = {**_HEAD, "resources": [f"{path}.yaml" for path in grouped]}
    comment = f"What every target of project `{release.project.name}` has. Written by windlass {release.version}."
    return {"base/kustomization.yaml": yaml_text(listed, comment=comment), **texts}


def _overlay(overlay: Overlay, base: dict[Key, tuple[str, Object]], alone: bool) -> Files:
    release = overlay.release
    own = {key: value for key, value in overlay.objects.items() if key not in base}
    grouped = _grouped(own)
    found: Object = dict(_HEAD)
    if alone:
        found["namespace"] = namespaces(release)[0]
    found["resources"] = ["../../base", *(f"{path}.yaml" for path in grouped)]
    images = _images(release)
    if images:
        found["#images"] = "What is built. A pipeline sets another with `kustomize edit set image`."
        found["images"] = images
    patches = [_patch(key, base[key][1], overlay.objects[key][1], images) for key in base]
    if any(patches):
        found["patches"] = [patch for patch in patches if patch]
    texts = {f"{path}.yaml": yaml_text(*declared, comment=head(release, path)) for path, declared in grouped.items()}
    comment = (
        f"What target `{release.target_name}` of project `{release.project.name}` has of its own.\n"
        f"Written by windlass {release.version}, with `windlass render {release.target_name}`."
    )
    about = readme(release, manifests(release), _apply(release))
    return {"README.md": about, "kustomization.yaml": yaml_text(found, comment=comment), **texts}


def _apply(release: Release) -> str:
    named = cluster(release).context
    context = f" --context={named}" if named else ""
    return f"kubectl{context} apply --server-side --kustomize ."


def _grouped(found: dict[Key, tuple[str, Object]]) -> Manifests:
    grouped: Manifests = {}
    for path, one in found.values():
        grouped.setdefault(path, []).append(one)
    return grouped


def _written(grouped: Manifests, folder: str, of: str) -> Files:
    return {
        f"{folder}/{path}.yaml": yaml_text(*declared, comment=f"{path.replace('/', ': ')} {of}.")
        for path, declared in grouped.items()
    }


def _images(release: Release) -> list[Object]:
    """Return the images that are built, with their tags."""
    names = [release.image(service) for service in release.project.services if release.built(service)]
    return [{"name": name.rpartition(":")[0], "newTag": name.rpartition(":")[2]} for name in names]


def _patch(key: Key, base: Object, own: Object, images: list[Object]) -> Object:
    """Return what changes an object of the base; nothing where only tags of images differ that are set anyhow."""
    set_anyhow = {f"{one['name']}:{one['newTag']}" for one in images}
    operations = [
        one
        for one in difference(bare(base), bare(own))
        if not (one["path"].endswith("/image") and one.get("value") in set_anyhow and _same_name(base, one))
    ]
    if not operations:
        return {}
    kind, name, namespace = key
    target = {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}
    return {"target": target, "patch": yaml_text(operations)}


def _same_name(base: Object, operation: Object) -> bool:
    found: object = base
    for key in operation["path"].split("/")[1:]:
        found = found[int(key)] if isinstance(found, list) else found[key] if isinstance(found, dict) else None
    return str(found).rpartition(":")[0] == str(operation["value"]).rpartition(":")[0]
