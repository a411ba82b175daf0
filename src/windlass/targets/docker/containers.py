"""What Docker tells of a container becomes a replica: its state, and in one sentence why it is not ready."""

import json
from collections.abc import Sequence
from typing import Any

from windlass.targets.docker.complaints import explain
from windlass.targets.target import Replica

Told = dict[str, Any]
# Starts after which a container that ends is not given another chance by those who wait for it.
_PATIENCE = 3
_SIGNALS = {137: "was killed", 139: "crashed (segmentation fault)", 143: "was ended", 134: "aborted"}


def replica(told: Told, said: Sequence[str] = ()) -> Replica:
    """Return the replica of a container; ``said`` are the last lines of its log, for the reason."""
    labels = told["Config"].get("Labels") or {}
    state = state_of(told)
    return Replica(
        service=labels.get("com.docker.compose.service", ""),
        name=told["Name"].removeprefix("/"),
        state=state,
        image=told["Config"]["Image"],
        address=_address(told),
        restarts=told.get("RestartCount", 0),
        started=_started(told),
        reason="" if state == "ready" or (state == "starting" and not _was_short(told)) else reason(told, said),
    )


def state_of(told: Told) -> str:
    """Return the state of a container in the words of all targets."""
    state = told["State"]
    health = (state.get("Health") or {}).get("Status", "")
    if state["Status"] == "running":
        return {"starting": "starting", "unhealthy": "unready"}.get(health, "ready")
    if state["Status"] == "restarting":
        return "failed" if told.get("RestartCount", 0) >= _PATIENCE else "restarting"
    if state["Status"] in ("created", "paused"):
        return "failed" if state.get("Error") else "stopped"
    return "stopped" if state.get("ExitCode", 0) in (0, 143) else "failed"


def finished(told: Told) -> bool:
    """Tell whether a container has done all that it was for: it ended well, and nothing starts it again."""
    policy = told["HostConfig"]["RestartPolicy"]["Name"]
    state = told["State"]
    return bool(state["Status"] == "exited" and state["ExitCode"] == 0 and policy != "unless-stopped")


def hopeless(told: Told) -> bool:
    """Tell whether waiting for a container is in vain."""
    return state_of(told) == "failed"


def troubled(told: Told) -> bool:
    """Tell whether a container is what keeps others from starting."""
    return state_of(told) in ("failed", "unready", "restarting") or (_was_short(told) and state_of(told) == "starting")


def _was_short(told: Told) -> bool:
    """Tell whether memory ran out: of what runs now, or of what ran before and was started again."""
    return bool(told["State"].get("OOMKilled"))


def returning(told: Told) -> bool:
    """Tell whether a container was started again and is not ready yet."""
    return told.get("RestartCount", 0) > 0 and state_of(told) == "starting"


def reason(told: Told, said: Sequence[str]) -> str:
    """Return one sentence on why a container is not ready."""
    state = told["State"]
    code = state.get("ExitCode", 0)
    if state.get("OOMKilled"):
        return f"out of memory (exit code 137){_limit(told)}: raise `memory` of the service"
    if state.get("Error"):
        known = explain(state["Error"])
        return f"{known.message} ({known.hint})" if known else str(state["Error"])
    if state["Status"] == "created":
        return "waits for what it depends on"
    complaint = complaint_of(said)
    if state["Status"] == "running":
        return complaint or f"its health check fails: {_checked(state)}"
    if code:
        ended = f"{_SIGNALS.get(code, 'ended')} with exit code {code}"
        if code == 137:
            ended += f" (out of memory, or by somebody){_limit(told)}"
        return f"{ended}: {complaint}" if complaint else ended
    return "was stopped"


def complaint_of(said: Sequence[str]) -> str:
    """Return the last thing that a log calls an error; its last line where nothing is called so."""
    lines = [line.strip() for line in said if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return _message(errors[-1]) if errors else _message(lines[-1]) if lines else ""


def _message(line: str) -> str:
    """Take the message out of a line of JSON."""
    if line.startswith("{"):
        try:
            return str(json.loads(line).get("message", line))
        except ValueError:
            return line
    return line


def _checked(state: Told) -> str:
    log = (state.get("Health") or {}).get("Log") or []
    lines = [line for line in (log[-1].get("Output") or "").splitlines() if line.strip()] if log else []
    return lines[-1].strip() if lines else "it says nothing"


def _limit(told: Told) -> str:
    limit = told["HostConfig"].get("Memory") or 0
    return f", its limit is {limit // 2**20} MiB" if limit else ""


def _address(told: Told) -> str:
    ports = (told.get("NetworkSettings") or {}).get("Ports") or {}
    return ", ".join(
        sorted(f"{place['HostIp']}:{place['HostPort']}" for places in ports.values() for place in places or ())
    )


def _started(told: Told) -> str:
    started: str = told["State"].get("StartedAt") or ""
    return "" if started.startswith("0001") else started.partition(".")[0].removesuffix("Z") + "Z"
