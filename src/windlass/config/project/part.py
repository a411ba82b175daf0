"""What every part of a project file is: a frozen value that takes no key it does not know."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A mapping of the project file. Docstrings of its fields are the reference and the schema's descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)
