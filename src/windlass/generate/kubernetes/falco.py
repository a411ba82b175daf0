"""Rules for Falco, which watches system calls: a server starts no shell, and asks nobody unknown."""

from windlass.generate.kubernetes import objects
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import COMPONENT, namespace_of, namespaces
from windlass.generate.text import yaml_text
from windlass.release import Release

_SHELLS = ["ash", "bash", "csh", "dash", "ksh", "sh", "tcsh", "zsh"]


def rules(release: Release) -> list[Object]:
    """Return the rules, where the project wants them."""
    if not release.project.security.runtime_rules:
        return []
    name = objects.named(release, "falco-rules")
    home = namespace_of(release, None)
    marks = objects.project_labels(release, "falco")
    return [objects.declared("ConfigMap", name, home, marks, data={f"{name}.yaml": _text(release)})]


def _text(release: Release) -> str:
    project = release.project.name
    inside = _name(project, "servers")
    places = ", ".join(namespaces(release))
    label = f'k8s.pod.label[{objects.PART_OF}] = "{project}" and k8s.pod.label[{objects.COMPONENT}] = "{COMPONENT}"'
    shown = "pod=%k8s.pod.name namespace=%k8s.ns.name process=%proc.cmdline parent=%proc.pname"
    return yaml_text(
        [
            {"macro": inside, "condition": f'container.name = "server" and k8s.ns.name in ({places}) and {label}'},
            {
                "rule": f"Shell in a server of {project}",
                "desc": "A model server starts no shell; somebody may have broken in.",
                # The end of a pod sleeps through no shell.
                "condition": f"spawned_process and {inside} and proc.name in ({', '.join(_SHELLS)})",
                "output": f"A shell was started in a model server ({shown} user=%user.name)",
                "priority": "WARNING",
                "tags": ["windlass", "shell"],
            },
            {
                "rule": f"Unknown connection of a server of {project}",
                "desc": "A model server asks the name service, and what its network policy allows.",
                "condition": f"outbound and {inside} and not fd.sport in (53, 443, 4317, 4318)",
                "output": f"A model server connected to somebody unknown ({shown} connection=%fd.name)",
                "priority": "NOTICE",
                "tags": ["windlass", "network"],
            },
            {
                "rule": f"Write to the models of {project}",
                "desc": "Servers only read models.",
                "condition": f"open_write and {inside} and fd.name startswith /models/",
                "output": f"A file of a model was opened for writing ({shown} file=%fd.name)",
                "priority": "ERROR",
                "tags": ["windlass", "models"],
            },
        ]
    )


def _name(*parts: str) -> str:
    return "_".join(parts).replace("-", "_")
