"""What a person reads first: how the files are applied, what the cluster must have, which secrets come before."""

from windlass.generate.kubernetes import secrets
from windlass.generate.kubernetes.manifests import Manifests
from windlass.generate.kubernetes.secrets import Made
from windlass.release import Release

# What brings kinds that are not Kubernetes' own, by their group.
PROVIDERS = {
    "monitoring.coreos.com": "the Prometheus operator (or say `service_monitor: false` under the target)",
    "external-secrets.io": "the External Secrets operator",
    "secrets-store.csi.x-k8s.io": "the Secrets Store CSI driver, with synchronisation of secrets",
    "gateway.networking.k8s.io": "the Gateway API, version 1.1 or newer, and a controller of the GatewayClass",
    "networking.istio.io": "Istio, with its CNI plugin",
    "security.istio.io": "Istio, with its CNI plugin",
    "linkerd.io": "Linkerd, with its CNI plugin",
}


def groups(manifests: Manifests) -> list[str]:
    """Return the API groups that are not Kubernetes' own."""
    versions = {one["apiVersion"] for declared in manifests.values() for one in declared}
    return sorted({version.partition("/")[0] for version in versions} & PROVIDERS.keys())


def readme(release: Release, manifests: Manifests, apply: str) -> str:
    """Return the text; ``apply`` are the commands that do without windlass."""
    target = release.target_name
    parts = [
        f"# {release.project.name} on Kubernetes, target `{target}`",
        f"Written by windlass {release.version}. Change `windlass.yaml` and render again, or keep these files and edit "
        "them.",
        f"`windlass up --target {target}` makes the secrets, applies everything, waits until it is ready, and removes "
        "what is no more. Without windlass:",
        f"```sh\n{apply.strip()}\n```",
        *_secrets(secrets.missing(release)),
        *_needed(groups(manifests)),
        *_sharing(manifests),
    ]
    return "\n\n".join(parts) + "\n"


def _secrets(missing: list[Made]) -> list[str]:
    if not missing:
        return []
    commands = "\n".join(steps(one) for one in missing)
    text = "Secrets that no store holds come first. Put the file that holds each value in the place of `FILE`:"
    return ["## Secrets", text, f"```sh\n{commands}\n```"]


def steps(made: Made) -> str:
    """Return the command that makes a Secret by hand, from files."""
    kind = "tls" if made.type == "kubernetes.io/tls" else "generic"
    if kind == "tls":
        given = f"--cert=FILE-OF-{made.entries['tls.crt']} --key=FILE-OF-{made.entries['tls.key']}"
    else:
        given = " ".join(f"--from-file={key}=FILE-OF-{name}" for key, name in made.entries.items())
    return f"kubectl --namespace={made.namespace} create secret {kind} {made.name} {given}"


def _needed(groups: list[str]) -> list[str]:
    providers = list(dict.fromkeys(PROVIDERS[group] for group in groups))
    if not providers:
        return []
    return ["## What the cluster must have", "\n".join(f"* {provider}" for provider in providers)]


def _sharing(manifests: Manifests) -> list[str]:
    if "gpu-sharing" not in manifests:
        return []
    name = manifests["gpu-sharing"][0]["metadata"]["name"]
    keys = ", ".join(f"`nvidia.com/device-plugin.config={key}`" for key in manifests["gpu-sharing"][0]["data"])
    text = (
        f"`gpu-sharing.yaml` holds configurations for NVIDIA's device plugin, which an administrator gives it: "
        f"copy the ConfigMap `{name}` into the plugin's namespace and name it as its configuration "
        f"(`config.name` of its chart), then label the nodes: {keys}."
    )
    return ["## Shared GPUs", text]
