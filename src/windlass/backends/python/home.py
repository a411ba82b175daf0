"""Where model code is at home: which model it belongs to, and which server runs it.

Functions like ``pb_utils.load_model`` are called without saying for whom. While the server calls a model its home is
known to the thread; what a model does on threads of its own is recognised by the files it runs through.
"""

import sys
import threading
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import FrameType
from weakref import WeakSet

from windlass.backends.host import Host

# The name under which a model's own module carries its home.
MARK = "__windlass_home__"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Home:
    """One version of a model, or an instance of it. ``executing`` is false while it is made ready or says goodbye."""

    name: str
    folder: str
    host: Host | None
    executing: bool = True


_here: ContextVar[Home | None] = ContextVar("windlass_home", default=None)
_known: WeakSet[Home] = WeakSet()


def settle(name: str, folder: str, host: Host | None) -> Home:
    """Found a home for a version that is being loaded."""
    home = Home(name, folder, host)
    _known.add(home)
    return home


def enter(home: Home) -> Token[Home | None]:
    """Let this thread, and what is called from it, be at home there, until ``leave``."""
    return _here.set(home)


def leave(token: Token[Home | None]) -> None:
    """Undo ``enter``."""
    _here.reset(token)


def current() -> Home | None:
    """Return the home of the code that asks; none outside of models."""
    if home := _here.get():
        return home
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if found := frame.f_globals.get(MARK):
            return found if isinstance(found, Home) else None
        frame = frame.f_back
    known = list(_known)
    # A thread that a neighbour of the only model started.
    is_other = threading.current_thread() is not threading.main_thread()
    return known[0] if is_other and len(known) == 1 else None
