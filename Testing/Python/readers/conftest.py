"""Small sources written to the test's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from source_makers import PLANTED, Frames


@pytest.fixture
def save_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write a data set into a file whose name carries the planted name."""

    def save(data: Dataset, name: str = f"{PLANTED}.bin") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
        return path

    return save


@pytest.fixture
def save_video(tmp_path: Path) -> Callable[..., Path]:
    """Write frames as a video with OpenCV."""

    def save(frames: Frames, name: str = "clip.avi", codec: str = "MJPG", rate: float = 25.0) -> Path:
        path = tmp_path / name
        height, width = frames.shape[1:3]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
        assert writer.isOpened()
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR))
        writer.release()
        return path

    return save


@pytest.fixture
def save_pictures(tmp_path: Path) -> Callable[..., Path]:
    """Write frames as numbered pictures into a folder."""

    def save(frames: Frames, pattern: str = "{:05d}.png", folder: str = "frames") -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(target / pattern.format(index))
        return target

    return save
