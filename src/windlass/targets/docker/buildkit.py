"""What BuildKit says while it builds: a line for every step to a person, and why it failed."""

import re
from collections import deque
from collections.abc import Iterator

from windlass.errors import TargetError
from windlass.targets.docker.engine import meaning
from windlass.targets.shell import SHOWN_LINES, ProgramError

# What builds complain of, what it means, and what to do; beside what Docker itself complains of.
_MEANINGS = (
    (
        r"DO NOT MATCH THE HASHES|Hashes are required in --require-hashes mode",
        "the packages of `{0}` are not those of its lock",
        "pin them anew with `windlass build --lock {0}`, and look at the difference",
    ),
    (
        r"'buildx' is not a docker command|unknown flag: --file|unknown command: docker buildx",
        "Docker has no `buildx` here, which builds `{0}`",
        "install its plugin: https://docs.docker.com/build/install-buildx/",
    ),
)
# A step of a build as BuildKit tells of it: its number, and what it is or how it ended.
_STEP = re.compile(r"^#(\d+) (\[.*|DONE .*|CACHED|ERROR)")
# What a program says in a step.
_OUTPUT = re.compile(r"^#\d+ \d+\.\d+ (.*)$")


class Heard:
    """Listens to the build of one image."""

    def __init__(self, image: str) -> None:
        self._image = image
        # What programs in the build said last: BuildKit's own last words are the Dockerfile.
        self._output: deque[str] = deque(maxlen=SHOWN_LINES)

    def steps(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield a line for every step that has ended: what it is, and how long it took."""
        names: dict[str, str] = {}
        for line in lines:
            if output := _OUTPUT.match(line):
                self._output.append(output[1])
            if (found := _STEP.match(line)) is None:
                continue
            number, told = found.groups()
            if told.startswith("["):
                names[number] = told
            elif number in names and not names[number].startswith("[internal]"):
                yield f"{_short(names.pop(number))}: {told.removeprefix('DONE ').lower()}"

    def explained(self, error: ProgramError) -> TargetError:
        """Return what a failed build means, where it is known, and what the failing step said otherwise."""
        said = "\n".join([*self._output, error.said])
        for pattern, message, hint in _MEANINGS:
            if found := re.search(f".*({pattern}).*", said):
                return TargetError(message.format(self._image), found=found[0].strip(), hint=hint.format(self._image))
        known = meaning(error)
        if known is not error or not self._output:
            return known
        return TargetError(f"the image of `{self._image}` cannot be built", found="\n".join(self._output))


def _short(step: str) -> str:
    return step if len(step) <= 100 else f"{step[:99]}…"
