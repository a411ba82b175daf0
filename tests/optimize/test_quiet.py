"""Frameworks work in silence, and what stops them is one sentence."""

import logging
import os
import signal
import sys
import warnings

import pytest

from windlass.errors import ConversionError, UsageError
from windlass.optimize.quiet import conversion


def test_nothing_reaches_the_terminal_and_afterwards_everything_does(capfd):
    with conversion("it fails", "do this"):
        sys.stdout.write("printed")
        sys.stderr.write("printed")
        os.write(1, b"written by native code")
        os.write(2, b"written by native code")
        warnings.warn("warned", stacklevel=1)
        logging.getLogger("framework").error("logged")
    assert capfd.readouterr() == ("", "")
    os.write(1, b"told")
    assert capfd.readouterr().out == "told"


def test_the_log_of_the_program_is_as_it_was():
    root = logging.getLogger()
    before = (root.level, root.handlers[:], root.filters[:])
    with conversion("it fails", "do this"):
        root.setLevel(logging.CRITICAL)
        root.addHandler(logging.NullHandler())
        root.addFilter(lambda _: False)
    assert (root.level, root.handlers, root.filters) == before


def test_a_failure_is_told_in_one_sentence_with_the_innermost_reason():
    with pytest.raises(ConversionError) as raised, conversion("it fails", "do this"):
        try:
            raise ValueError("\n  operator `foo` is unknown\n" + "at line\n" * 1000)
        except ValueError as error:
            raise RuntimeError("step 3 failed, see the 400 lines below") from error
    assert raised.value.message == "it fails: operator `foo` is unknown"
    assert raised.value.hint == "do this"


def test_errors_of_windlass_stay_as_they_are():
    with pytest.raises(UsageError, match="^as it is$"), conversion("it fails", "do this"):
        raise UsageError("as it is")


@pytest.mark.parametrize("swallowed", [True, False])
def test_an_interruption_stays_one_whatever_a_framework_makes_of_it(swallowed):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), conversion("it fails", "do this"):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if not swallowed:
                raise RuntimeError("something went wrong in native code") from None
    assert signal.getsignal(signal.SIGINT) is before
