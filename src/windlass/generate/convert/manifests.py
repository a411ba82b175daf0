"""All manifests of a Compose file, a file for each service, and the kustomization that holds them together."""

from collections.abc import Iterator
from typing import Any

from windlass.config.check import Finding
from windlass.config.compose import ComposeFile, Service
from windlass.generate.convert.choice import Choice
from windlass.generate.convert.networks import policies, service_objects
from windlass.generate.convert.storage import claims, config_maps
from windlass.generate.convert.workload import COMPLETED, environment_map, workload
from windlass.generate.text import Files, yaml_text


def manifests(compose: ComposeFile, findings: list[Finding], choice: Choice) -> Files:
    """Return the manifests of every service. Same file, same bytes."""
    completed = _completed(compose)
    steps = {name for one in compose.services.values() for name in one.after if name in completed}
    files: Files = {"namespace.yaml": yaml_text(_namespace(choice), comment=_head(compose, "The namespace."))}
    for name, service in compose.services.items():
        if name in steps:
            continue
        objects = [*_of(compose, service, choice)]
        files[f"{name}.yaml"] = yaml_text(
            *objects, comment=_head(compose, f"The service {name}.", _secrets(service, choice))
        )
    # A step may be one of several services.
    of_steps = [
        environment_map(compose.services[name], choice) for name in sorted(steps) if compose.services[name].environment
    ]
    shared = [*of_steps, *claims(compose, choice), *config_maps(compose, choice)]
    if shared:
        files["storage.yaml"] = yaml_text(
            *shared, comment=_head(compose, "Volumes and configuration files.", _kept(compose, choice))
        )
    files["network-policies.yaml"] = yaml_text(
        *policies(compose, choice),
        comment=_head(compose, "Who may call whom: as the networks of the Compose file say."),
    )
    files["kustomization.yaml"] = yaml_text(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": choice.namespace,
            "resources": sorted(files),
        },
        comment=_head(compose, "Everything together: `kubectl apply -k .`"),
    )
    files["REPORT.md"] = _report(compose, findings)
    return files


def _completed(compose: ComposeFile) -> set[str]:
    """Return the services that others wait for until they have ended: they become init containers."""
    return {
        name for one in compose.services.values() for name, condition in one.after.items() if condition == COMPLETED
    }


def _of(compose: ComposeFile, service: Service, choice: Choice) -> Iterator[dict[str, Any]]:
    if service.environment:
        yield environment_map(service, choice)
    yield workload(compose, service, choice)
    yield from service_objects(service, choice)
    if service.replicas > 1 and service.restart not in ("no", "on-failure"):
        yield {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": choice.metadata(service.name),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": choice.selector(service.name)}},
        }


def _namespace(choice: Choice) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": choice.namespace}}


def _head(compose: ComposeFile, what: str, *more: str) -> str:
    lines = [
        what,
        f"Made from the Compose project {compose.name} by `windlass convert`; REPORT.md tells what to look at.",
    ]
    return "\n".join([*lines, *filter(None, more)])


def _secrets(service: Service, choice: Choice) -> str:
    """Say how the Secret with a service's secret variables is made; the values are typed by who knows them."""
    if not service.secret_environment:
        return ""
    literals = " ".join(f'--from-literal={name}="${name}"' for name in service.secret_environment)
    create = f"kubectl -n {choice.namespace} create secret generic {service.name}-environment {literals}"
    return f"\nMake its Secret first:\n  {create}"


def _kept(compose: ComposeFile, choice: Choice) -> str:
    """Say how the Secrets of the file are made."""
    lines = []
    for name, secret in compose.secrets.items():
        source = (
            f"--from-file={name}={secret.file}"
            if secret.file
            else f'--from-literal={name}="${secret.environment or name}"'
        )
        if not secret.external:
            lines.append(f"  kubectl -n {choice.namespace} create secret generic {secret.real_name} {source}")
    return "\n".join(["", "Make the Secrets first:", *lines]) if lines else ""


def _report(compose: ComposeFile, findings: list[Finding]) -> str:
    """Tell all that is not the same as in the Compose file."""
    lines = [f"# {compose.name}: from Compose to Kubernetes", ""]
    if not findings:
        lines += ["Everything in the Compose file has an equivalent."]
    for severity, title in (("error", "To be mended before use"), ("warning", "Different, or left out")):
        told = [finding for finding in findings if finding.severity == severity]
        if told:
            lines += [f"## {title}", ""]
            lines += [
                f"* `{one.where}`: {one.message}" + (f". {one.hint[:1].upper()}{one.hint[1:]}." if one.hint else "")
                for one in told
            ]
            lines += [""]
    return "\n".join(lines).rstrip() + "\n"
