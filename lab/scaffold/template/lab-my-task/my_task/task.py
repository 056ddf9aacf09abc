"""What the entry point `my_task` of group `lab.tasks` names."""

from lab.task import Task

from my_task.data import MyTaskData
from my_task.module import MyTaskModule

TASK = Task(
    module=MyTaskModule,
    data=MyTaskData,
    monitor="val/loss",
    mode="min",  # the best checkpoint is the one with the smallest
)
