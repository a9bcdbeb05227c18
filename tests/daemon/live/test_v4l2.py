"""What is said to devices is what the kernel's header says, and what is wrong with one is said in a line."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from uncnn.daemon.live import v4l2
from uncnn.daemon.live.errors import LiveError

HEADER = Path("/usr/include/linux/videodev2.h")
PROGRAM = """
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
int main(void) {
  struct v4l2_format format;
  memset(&format, 0, sizeof format);
  format.type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
  format.fmt.pix.width = 640;
  format.fmt.pix.height = 480;
  format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
  format.fmt.pix.field = V4L2_FIELD_NONE;
  format.fmt.pix.bytesperline = 1280;
  format.fmt.pix.sizeimage = 614400;
  format.fmt.pix.colorspace = V4L2_COLORSPACE_SMPTE170M;
  printf("%lu %lu %zu ", (unsigned long)VIDIOC_QUERYCAP, (unsigned long)VIDIOC_S_FMT, sizeof(struct v4l2_capability));
  printf("%u %u %u ", V4L2_CAP_VIDEO_CAPTURE, V4L2_CAP_VIDEO_OUTPUT, V4L2_CAP_DEVICE_CAPS);
  for (size_t at = 0; at < sizeof format; at++) printf("%02x", ((unsigned char *)&format)[at]);
  struct v4l2_capability has;
  memset(&has, 0, sizeof has);
  strcpy((char *)has.driver, "v4l2 loopback");
  strcpy((char *)has.card, "a camera");
  has.capabilities = V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_OUTPUT;
  has.device_caps = V4L2_CAP_VIDEO_OUTPUT;
  printf(" ");
  for (size_t at = 0; at < sizeof has; at++) printf("%02x", ((unsigned char *)&has)[at]);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None or not HEADER.is_file(), reason="needs cc and linux/videodev2.h")
def test_calls_and_structures_are_those_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(PROGRAM)
    subprocess.run(["cc", tmp_path / "a.c", "-o", tmp_path / "a"], check=True)
    *numbers, form, has = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=True).stdout.split()
    ours = (v4l2.QUERYCAP, v4l2.S_FMT, v4l2.CAPABILITY_BYTES, v4l2.CAPTURE, v4l2.OUTPUT, v4l2.OF_THE_DEVICE)
    assert tuple(map(int, numbers)) == ours
    assert bytes.fromhex(form) == v4l2.output_format(640, 480)
    said = v4l2.read_capabilities(bytes.fromhex(has))
    assert said == v4l2.Capabilities("v4l2 loopback", "a camera", captures=False, outputs=True)


def test_a_device_that_says_nothing_of_its_node_is_taken_as_a_whole() -> None:
    answer = struct.pack("16s32s32sIII12x", b"uvcvideo", "Küche".encode(), b"usb", 1, v4l2.CAPTURE, 0)
    assert v4l2.read_capabilities(answer) == v4l2.Capabilities("uvcvideo", "Küche", captures=True, outputs=False)


def test_what_is_no_device_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match=r"no such device; `ls /dev/video"):
        v4l2.opened_device(tmp_path / "video9", output=False)
    with pytest.raises(LiveError, match="null is no video device"):
        v4l2.opened_device(Path("/dev/null"), output=True)
    assert "group video" in v4l2.words_of(PermissionError(13, "no"))
    assert "plug it in" in v4l2.words_of(OSError(19, "no"))


def test_a_path_is_a_device_by_what_it_is_or_by_its_name(tmp_path: Path) -> None:
    assert v4l2.is_device(Path("/dev/null"))
    assert v4l2.is_device(Path("/dev/video93"))
    assert not v4l2.is_device(tmp_path / "video0")
    (tmp_path / "clip.mp4").touch()
    assert not v4l2.is_device(tmp_path / "clip.mp4")


def test_a_file_takes_no_form_of_pictures(tmp_path: Path) -> None:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match=re.escape("[Errno 25]")):
        v4l2.set_output_format(opened, 640, 480)
    os.close(opened)
