"""What Kubernetes is given for each golden project."""

import pytest

from support.golden import cases, compare
from windlass.config.project import KubernetesTarget
from windlass.generate import kubernetes


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_files_are_those_that_were_reviewed(case, tmp_path, update_golden):
    for target in case.targets:
        (tmp_path / target).mkdir()
        release = case.release(tmp_path / target, target)
        if isinstance(release.target, KubernetesTarget):
            compare(kubernetes.files(release), case.folder / "expected" / target, update_golden)
