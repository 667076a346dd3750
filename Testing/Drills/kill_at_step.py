"""Code that a drill puts before a program, so that the program is killed before its n-th change to the disk."""

from __future__ import annotations

# ``KILL.format(step=n)``; 0 never kills
KILL = """
import os, signal
left = [{step}]
def counted(call):
    def count(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return count
for name in ("link", "mkdir", "rename", "replace", "rmdir", "unlink", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
"""
