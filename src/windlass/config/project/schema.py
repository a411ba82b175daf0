"""The JSON schema of project files."""

from typing import Any

from windlass.config.project.project import Project


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that editors check and complete a project file with.

    Overrides of a target may be any part of a project, so that none of their keys is required.
    """
    made = Project.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "windlass.yaml"}
