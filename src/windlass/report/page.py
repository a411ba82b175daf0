"""How a report becomes text: templates that escape what they are given, and forget nothing."""

from functools import cache
from typing import Any

import jinja2

from windlass.report.numbers import amount, bytes_text, duration


@cache
def _environment(package: str) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("windlass.report")]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
    made.filters |= {"amount": amount, "bytes_text": bytes_text, "duration": duration}
    return made


def page(package: str, name: str, /, **values: Any) -> str:
    """Fill a template of a package's ``templates`` folder; it extends ``page.html.j2`` of this one.

    A name that the template uses and ``values`` lack is an error.
    """
    return _environment(package).get_template(name).render(**values)
