"""Asks a server on this machine how it is: does it answer, is it ready, which model keeps it from that."""

import asyncio
import json
from dataclasses import dataclass

# Seconds a server may take to answer.
ANSWERS_S = 2.0
# As much of a reason as a person wants in one sentence.
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Health:
    """``ready``: it takes requests. ``loading``: it may still become so. ``reason``: why it is not."""

    ready: bool
    loading: bool = False
    reason: str = ""


async def probe(host: str, port: int) -> Health | None:
    """Ask a server for its health; ``None`` where nothing answers."""
    try:
        async with asyncio.timeout(ANSWERS_S):
            status, _ = await _ask(host, port, "GET /v2/health/ready")
            if status == 200:
                return Health(ready=True)
            status, body = await _ask(host, port, "POST /v2/repository/index")
    except (OSError, TimeoutError, ValueError):
        return None
    return _unready(json.loads(body)) if status == 200 else Health(ready=False, loading=True)


def _unready(index: list[dict[str, str]]) -> Health:
    states = {str(entry.get("state")) for entry in index}
    failed = [entry for entry in index if entry.get("state") == "UNAVAILABLE" and entry.get("reason")]
    if not failed or "LOADING" in states:
        return Health(ready=False, loading=True)
    reason = " ".join(failed[0]["reason"].split())
    return Health(ready=False, reason=f"model `{failed[0]['name']}` did not load: {reason[:SHOWN]}")


async def _ask(host: str, port: int, what: str) -> tuple[int, bytes]:
    """Send a request without a body; returns status and body. Raises ``OSError``, or ``ValueError`` for no HTTP."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = f"{what} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read()
    finally:
        writer.close()
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    words = head_bytes.split(maxsplit=2)
    return int(words[1]) if len(words) > 1 else 0, body
