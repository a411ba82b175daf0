"""Sizes as people write them."""


def gib(size_bytes: int) -> str:
    """Write bytes as GiB, small ones as MiB."""
    mebibytes = size_bytes / (1 << 20)
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
