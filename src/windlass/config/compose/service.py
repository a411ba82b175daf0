"""One service of a Compose file, in one spelling. What a cluster has no word for is noted, never dropped in silence."""

import re
from pathlib import Path

from windlass.config.compose import attachments
from windlass.config.compose.amounts import number, seconds, size, words
from windlass.config.compose.health import health
from windlass.config.compose.interpolation import variables_of
from windlass.config.compose.section import Section
from windlass.config.compose.values import Confinement, Health, Resources, Service

# Names of variables whose values are nobody's business.
SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)(_|$)", re.IGNORECASE
)

# What a cluster does in another way: the key, and how it is done there.
ELSEWHERE = {
    "container_name": "pods are named by their workload; services are called by the name of the service",
    "logging": "the cluster's own log collector takes what containers write",
    "ulimits": "limits of processes are those of the node's container runtime",
    "oom_score_adj": "the kubelet sets it by the resources that are asked for",
    "oom_kill_disable": "a container over its memory limit is always ended",
    "pids_limit": "the kubelet limits processes, for all pods of a node alike",
    "mem_swappiness": "swap is a matter of the node",
    "memswap_limit": "swap is a matter of the node",
    "cpuset": "cores are pinned by the kubelet's CPU manager: ask for whole cores with equal limits",
    "cpu_shares": "shares follow from the CPU that is reserved",
    "cpu_quota": "say `cpus`",
    "cpu_period": "say `cpus`",
    "blkio_config": "there is no limit for disks",
    "storage_opt": "there is no limit for the root file system; `ephemeral-storage` limits what a pod writes",
    "cgroup": "control groups are a matter of the node",
    "cgroup_parent": "control groups are a matter of the node",
    "isolation": "Windows alone has it",
    "mac_address": "a pod's network is that of the cluster",
    "links": "every service is reached by its name; other names are `aliases` of a network",
    "external_links": "call a service of another namespace as `name.namespace`",
    "domainname": "pods have the domain of their namespace",
    "volumes_from": "mount the same named volume in both",
    "develop": "it is for a machine of a developer: `windlass` has a development service",
    "build": "an image is built and pushed before it is deployed",
    "attach": "it concerns the terminal of `docker compose up`",
    "credential_spec": "Windows alone has it",
    "userns_mode": "user namespaces are `hostUsers: false` of the pod, where the cluster has them",
    "uts": "a pod has a host name of its own",
    "device_cgroup_rules": "devices are offered by device plugins",
    "stop_signal": "containers are told to end by SIGTERM, or by the image's own STOPSIGNAL",
    "post_start": "say it as `lifecycle.postStart` of the container",
    "pre_stop": "say it as `lifecycle.preStop` of the container",
    "annotations": "say them on the workload",
}


def service(name: str, section: Section, folder: Path, project: str) -> Service:
    """Read a service. Raises ``ValueError`` for an amount that is none."""
    image = str(section.take("image", ""))
    if not image:
        image = f"{project}-{name}:latest"
        section.notes.add(
            section.place, f"no image is named: `{image}` is used", "build and push it, and name it in `image`"
        )
    environment, secret = _environment(section, folder)
    deploy = section.section("deploy")
    ports = list(dict.fromkeys(attachments.ports(section)))
    attachments.published(section, ports)
    nets, aliases = attachments.networks(section)
    made = Service(
        name=name,
        image=image,
        entrypoint=words(section.take("entrypoint")),
        command=words(section.take("command")),
        working_dir=str(section.take("working_dir", "")),
        environment=environment,
        secret_environment=secret,
        ports=tuple(ports),
        mounts=tuple(attachments.mounts(section)),
        secrets=tuple(attachments.attached_files(section, "secrets", "/run/secrets/")),
        configs=tuple(attachments.attached_files(section, "configs", "/")),
        health=_health(section),
        after=attachments.after(section),
        resources=_resources(section, deploy, environment),
        confinement=_confinement(section),
        replicas=int(section.take("scale", 0) or deploy.take("replicas", 1)),
        everywhere=_everywhere(deploy),
        restart=_restart(section, deploy),
        grace_s=seconds(section.take("stop_grace_period"), 10.0),
        shm_bytes=_shm(section),
        networks=nets,
        aliases=aliases,
        host_network=_network_mode(section),
        hostname=str(section.take("hostname", "")),
        host_aliases=_hosts(section),
        dns=tuple(map(str, section.listed("dns"))),
        node_labels=_placement(section, deploy),
        labels={key: value or "" for key, value in (section.pairs("labels") | deploy.pairs("labels")).items()},
        runtime_class=_runtime(section),
        pull=str(section.take("pull_policy", "")),
        terminal=any([section.take("tty", False), section.take("stdin_open", False)]),
    )
    _elsewhere(section, deploy)
    return made


def _environment(section: Section, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return variables, and the names of those that are secret: their values go nowhere."""
    found: dict[str, str | None] = {}
    for item in section.listed("env_file"):
        path = str(item["path"] if isinstance(item, dict) else item)
        required = item.get("required", True) if isinstance(item, dict) else True
        if (folder / path).is_file():
            found |= variables_of((folder / path).read_text())
        elif required:
            section.notes.add((*section.place, "env_file"), f"`{path}` is not there", severity="error")
    found |= section.pairs("environment")
    secret = tuple(sorted(name for name in found if SECRET_NAME.search(name) and not name.endswith("_FILE")))
    for name, value in found.items():
        if value is None and name not in secret:
            message = f"`{name}` takes its value from the environment of whoever starts the project"
            section.notes.add((*section.place, "environment"), message, f"set `{name}` in the ConfigMap")
    for name in secret:
        message = f"`{name}` became a key of the Secret `{section.place[-1]}-environment`: its value is written nowhere"
        section.notes.add((*section.place, "environment"), message, "make the Secret as the head of its file says")
    return {name: value or "" for name, value in found.items() if name not in secret}, secret


def _health(section: Section) -> Health | None:
    return health(section.section("healthcheck")) if "healthcheck" in section else None


def _resources(section: Section, deploy: Section, environment: dict[str, str]) -> Resources:
    resources = deploy.section("resources")
    limits, reserved = resources.section("limits"), resources.section("reservations")
    gpus = _devices(reserved) or _gpus_of_service(section, environment)
    limits.note("pids", ELSEWHERE["pids_limit"])
    found = Resources(
        cpus=number(limits.take("cpus")) or number(section.take("cpus")),
        memory=size(limits.take("memory")) or size(section.take("mem_limit")),
        reserved_cpus=number(reserved.take("cpus")),
        reserved_memory=size(reserved.take("memory")) or size(section.take("mem_reservation")),
        gpus=gpus,
    )
    for inner in (limits, reserved, resources):
        inner.finish()
    return found


def _devices(reserved: Section) -> int:
    """Read GPUs that `deploy` reserves."""
    total = 0
    for index, item in enumerate(reserved.listed("devices")):
        device = Section(item, (*reserved.place, "devices", index), reserved.notes)
        count, ids = device.take("count"), device.listed("device_ids")
        driver, kinds = str(device.take("driver", "nvidia")), device.listed("capabilities")
        device.take("options")
        device.finish()
        if "gpu" not in kinds:
            device.notes.add(device.place, f"a device with `{kinds}` has no equivalent and was left out")
        elif driver != "nvidia":
            device.notes.add(device.place, f"GPUs of the driver `{driver}` were asked for as `nvidia.com/gpu`")
        if "gpu" in kinds:
            total += _count(count, len(ids), device)
        if ids:
            device.notes.add(device.place, f"the cluster chooses GPUs by itself: {len(ids)} are asked for, not {ids}")
    return total


def _count(count: object, ids: int, device: Section) -> int:
    if ids:
        return ids
    if count in (None, "all", -1):
        hint = "say how many with `count`: one is asked for until then"
        device.notes.add(device.place, "all GPUs of a machine cannot be asked for", hint)
        return 1
    return int(str(count))


def _gpus_of_service(section: Section, environment: dict[str, str]) -> int:
    """Read GPUs the other ways: ``gpus:``, or ``runtime: nvidia`` with the GPUs in a variable."""
    if "gpus" in section:
        value = section.take("gpus")
        if isinstance(value, list):
            return _devices(
                Section({"devices": [{"capabilities": ["gpu"], **one} for one in value]}, section.place, section.notes)
            )
        return _count(value, 0, section)
    if section.take("runtime") != "nvidia":
        return 0
    visible = environment.pop("NVIDIA_VISIBLE_DEVICES", "all")
    environment.pop("NVIDIA_DRIVER_CAPABILITIES", None)
    if visible in ("", "none", "void"):
        return 0
    if visible == "all":
        return _count("all", 0, section)
    ids = visible.split(",")
    message = f"the cluster chooses GPUs by itself: {len(ids)} are asked for, not {visible}"
    section.notes.add((*section.place, "environment"), message)
    return len(ids)


def _runtime(section: Section) -> str:
    runtime = str(section.take("runtime", ""))
    return {"runsc": "gvisor", "kata-runtime": "kata"}.get(runtime, runtime if runtime != "runc" else "")


def _confinement(section: Section) -> Confinement:
    user, _, group = str(section.take("user", "")).partition(":")
    for part in (user, group):
        if part and not part.isdecimal():
            section.notes.add(
                (*section.place, "user"), f"`{part}` is a name: a cluster needs its number", "say `1000:1000`"
            )
    options = [str(option) for option in section.listed("security_opt")]
    seccomp = next((option.partition(option[7])[2] for option in options if option.startswith("seccomp")), "")
    for option in options:
        if not option.startswith(("seccomp", "no-new-privileges")):
            section.notes.add((*section.place, "security_opt"), f"`{option}` has no equivalent and was left out")
    return Confinement(
        user=int(user) if user.isdecimal() else None,
        group=int(group) if group.isdecimal() else None,
        groups=tuple(int(one) for one in section.listed("group_add") if str(one).isdecimal()),
        read_only=bool(section.take("read_only", False)),
        privileged=bool(section.take("privileged", False)),
        no_new_privileges=any(option.startswith("no-new-privileges") and "false" not in option for option in options),
        cap_add=tuple(map(str, section.listed("cap_add"))),
        cap_drop=tuple(map(str, section.listed("cap_drop"))),
        seccomp=seccomp,
        sysctls={key: value or "" for key, value in section.pairs("sysctls").items()},
    )


def _shm(section: Section) -> int | None:
    """Read how much shared memory there is. Who wants the host's wants more than the usual 64 MiB."""
    given = size(section.take("shm_size"))
    if given or "ipc" not in section:
        section.take("ipc")
        return given
    hint = "say `shm_size` for another size"
    section.note("ipc", "shared memory is the pod's own: 1 GiB of it at `/dev/shm`", hint)
    return 1024**3


def _everywhere(deploy: Section) -> bool:
    mode = deploy.take("mode", "replicated")
    return bool(mode == "global")


def _restart(section: Section, deploy: Section) -> str:
    policy = deploy.section("restart_policy")
    condition = policy.take("condition")
    for key in ("delay", "max_attempts", "window"):
        policy.note(key, "a cluster waits longer after every failure, and never gives up")
    policy.finish()
    by_condition = {"none": "no", "on-failure": "on-failure", "any": "always"}
    return (
        str(by_condition.get(condition, "always"))
        if condition
        else str(section.take("restart", "always")).split(":")[0]
    )


def _network_mode(section: Section) -> bool:
    mode = str(section.take("network_mode", ""))
    if mode and mode not in ("host", "bridge", "default"):
        section.notes.add((*section.place, "network_mode"), f"`{mode}` has no equivalent and was left out")
    if mode == "host":
        hint = "leave it out where ports will do: pods on the host's network can be reached from outside"
        section.notes.add((*section.place, "network_mode"), "the pod uses its node's network", hint)
    return mode == "host"


def _hosts(section: Section) -> dict[str, str]:
    value = section.take("extra_hosts", {})
    if isinstance(value, dict):
        pairs = [(str(name), str(address)) for name, address in value.items()]
    else:
        pairs = [
            (name, address)
            for name, _, address in (re.sub("=", ":", str(item), count=1).partition(":") for item in value)
        ]
    for name, address in pairs:
        if address == "host-gateway":
            message = f"`{name}` is the machine of `docker compose`: a cluster has none"
            section.notes.add((*section.place, "extra_hosts"), message, "say the address of what runs there")
    return {name: address for name, address in pairs if address != "host-gateway"}


def _placement(section: Section, deploy: Section) -> dict[str, str]:
    placement = deploy.section("placement")
    found = {}
    for constraint in placement.listed("constraints"):
        match = re.fullmatch(r"\s*node\.(labels\.)?([\w./-]+)\s*==\s*([\w./-]+)\s*", str(constraint))
        if match and match[1]:
            found[match[2]] = match[3]
        elif match and match[2] == "hostname":
            found["kubernetes.io/hostname"] = match[3]
        else:
            placement.notes.add(placement.place, f"the constraint `{constraint}` has no equivalent and was left out")
    placement.note("preferences", "replicas are spread over nodes already")
    placement.note("max_replicas_per_node", "replicas are spread over nodes already")
    placement.finish()
    platform = str(section.take("platform", ""))
    if platform:
        system, _, architecture = platform.partition("/")
        found |= {"kubernetes.io/os": system} | (
            {"kubernetes.io/arch": architecture.split("/")[0]} if architecture else {}
        )
    return found


def _elsewhere(section: Section, deploy: Section) -> None:
    """Note what a cluster does in another way, and then what nobody knows."""
    for key, how in ELSEWHERE.items():
        section.note(key, f"left out: {how}")
    if section.take("init"):
        section.notes.add(
            (*section.place, "init"), "left out: pods reap their processes with `shareProcessNamespace: true`"
        )
    section.note("pid", "left out: a pod does not see the processes of others", "put both containers into one pod")
    for device in section.listed("devices"):
        section.notes.add((*section.place, "devices"), f"`{device}` is offered to pods by a device plugin only")
    section.take("profiles")
    deploy.note("update_config", "left out: pods are replaced one by one, the new one ready before the old one goes")
    deploy.note("rollback_config", "left out: roll back with `kubectl rollout undo`")
    deploy.note("endpoint_mode", "left out: services have one address")
    deploy.finish()
    section.finish()
