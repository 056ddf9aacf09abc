"""What the entry point `two_moons` of group `lab.tasks` names."""

from lab.task import Task

from two_moons.data import MoonsData
from two_moons.module import MoonsClassifier

TASK = Task(module=MoonsClassifier, data=MoonsData, monitor="val/accuracy", mode="max")
