"""What an image says about itself, in the names of the Open Container Initiative."""

from windlass.generate.images import bases
from windlass.release import DEVELOPMENT, Release


def labels(release: Release, name: str) -> dict[str, str]:
    """Return the labels of a service's image. What changes without the image, its commit, is an argument of the build.

    The time it was made is none of them: the same inputs give the same image.
    """
    project, service = release.project, release.service(name)
    what = "Place to work on" if name == DEVELOPMENT else f"Service {name} of"
    own = {
        "title": f"{project.name}-{name}",
        "description": f"{what} project {project.name}, served by {service.runtime}",
        "version": release.tag(name),
        "base.name": bases.base(release, name) if service.runtime == "windlass" else release.origin(name),
    }
    if project.image.source:
        own["source"] = project.image.source
    found = {f"org.opencontainers.image.{key}": value for key, value in own.items()}
    models = release.models.get(name, ()) if service.bake else ()
    found |= {f"windlass.model.{model.name}": model.digest for model in models}
    return {**found, "windlass.version": release.version}
