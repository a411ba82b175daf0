"""What on this machine keeps models from being served, or makes it slow: each check a judgement over recorded facts."""

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.examination import CHECKS, examine
from windlass.doctor.machine import Machine

__all__ = ["CHECKS", "Diagnosis", "Machine", "examine"]
