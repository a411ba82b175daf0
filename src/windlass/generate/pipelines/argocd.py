"""An Argo CD Application over what was rendered and committed (https://argo-cd.readthedocs.io)."""

from typing import Any

from windlass.config.project import KubernetesTarget
from windlass.errors import ConfigError
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

_HEAD = """Keeps project {name} on target {target} as the repository has it.
Made by `windlass render argocd --target {target}`. Commit what `windlass render {target} -o {place}` writes,
then `kubectl apply -f application.yaml` once: from then on a commit is a deployment."""


def files(release: Release) -> Files:
    """Return `application.yaml`. Raises ``ConfigError`` where Argo CD could not find or deploy the project."""
    target = release.target
    if not isinstance(target, KubernetesTarget):
        hint = "name one of kind `kubernetes` with `--target`"
        message = f"Argo CD deploys to Kubernetes, and target `{release.target_name}` is of kind `{target.kind}`"
        raise ConfigError(message, hint=hint)
    source = release.project.image.source
    if not source:
        hint = "say `image: {source: https://git.example.com/team/project.git}`"
        raise ConfigError("Argo CD reads a repository, and the project names none", hint=hint)
    place = f"deploy/{release.target_name}"
    paths: dict[str, dict[str, Any]] = {
        "kustomize": {"path": f"{place}/overlays/{release.target_name}"},
        "helm": {"path": place, "helm": {"releaseName": release.project.name}},
        "plain": {"path": place, "directory": {"recurse": True, "exclude": "images/*"}},
    }
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": f"{release.project.name}-{release.target_name}",
            "namespace": "argocd",
            "labels": {"app.kubernetes.io/part-of": release.project.name},
            # What the Application has made goes with it.
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": source, "targetRevision": "main", **paths[target.layout]},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": target.namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true", "PruneLast=true"],
                "retry": {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"}},
            },
            # Scalers change the number of replicas; that is no drift.
            "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
        },
    }
    head = _HEAD.format(name=release.project.name, target=release.target_name, place=place)
    return {"application.yaml": yaml_text(application, comment=head)}
