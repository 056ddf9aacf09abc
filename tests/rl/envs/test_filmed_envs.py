"""The environments of an evaluation: when they are closed."""

import subprocess
import sys
from pathlib import Path

DISPLAY = '''
import atexit

import gymnasium as gym
import numpy as np

displays = []


class Drawn(gym.Env):
    """Opens a display with its first picture, as EGL does, and cannot be closed once that has ended."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space, action_space, render_mode = gym.spaces.Box(0, 1), gym.spaces.Discrete(2), None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, True, False, {}

    def render(self):
        if not displays:
            displays.append("open")
            atexit.register(displays.clear)
        return np.zeros((8, 8, 3), np.uint8)

    def close(self):
        assert displays, "closed after the display"
        print("closed", flush=True)
'''
FILMED = """
from lab.rl.envs.factory import EnvFactory
factory = EnvFactory("drawn:Drawn", episode_steps=5)
with factory.for_video() as env:
    env.render()
"""


def test_what_was_filmed_is_closed_before_its_display(tmp_path: Path) -> None:
    (tmp_path / "drawn.py").write_text(DISPLAY)
    done = subprocess.run([sys.executable, "-c", FILMED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr
    assert "Traceback" not in done.stderr
