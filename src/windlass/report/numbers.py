"""Numbers as people read them: three digits that count, and a unit that fits."""

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def amount(value: float) -> str:
    """Write a number: ``0``, ``0.042``, ``3.14``, ``42.5``, ``318``, ``12,480``; ``-`` for one that is none."""
    if value != value:
        return "-"
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}"


def plain(value: float) -> str:
    """Write a number of a scale: ``0.5``, ``1``, ``2,500``."""
    return f"{value:,.6g}"


def duration(us: float) -> str:
    """Write a time given in microseconds: ``85 µs``, ``3.14 ms``, ``1.2 s``; ``-`` for one that is none."""
    if us != us:
        return "-"
    if us == 0:
        return "0"
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if us >= factor:
            return f"{amount(us / factor)} {unit}"
    return f"{amount(round(us) if us >= 10 else us)} µs"


def bytes_text(size: float) -> str:
    """Write a size: ``512 B``, ``1.5 GiB``."""
    place = 0
    while size >= 1024 and place < len(_BYTES) - 1:
        size, place = size / 1024, place + 1
    return f"{amount(size)} {_BYTES[place]}"
