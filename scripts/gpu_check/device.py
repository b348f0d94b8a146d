"""The device, its driver, and the libraries and tools of the CUDA toolkit on this machine.

Usage as a program: device.py BYTES takes all memory of device 0 but BYTES, prints the bytes that it has taken,
and holds them until its standard input ends."""

import ctypes
import glob
import os
import pathlib
import re
import shutil
import sys

CUDA_LIBRARIES = ["libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcusolver.so.12", "libcusparse.so.12",
                  "libnvJitLink.so.13"]
COMPUTE_MODE = 20  # CU_DEVICE_ATTRIBUTE_COMPUTE_MODE; 0: several processes may use the device


class NoDevice(Exception):
    """There is no device, or not all that is needed to use it; the message gives the reason."""


def load_driver():
    """Returns the driver's library, initialised, and its path."""
    places = ["libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1",
              "/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"]
    for place in places:
        try:
            cuda = ctypes.CDLL(place)
        except OSError:
            continue
        status, count = cuda.cuInit(0), ctypes.c_int(0)
        if status == 0:
            cuda.cuDeviceGetCount(ctypes.byref(count))
        if status != 0 or count.value == 0:
            raise NoDevice(f"no device (cuInit: {status}, devices: {count.value})")
        return cuda, count.value, place
    raise NoDevice("no device (no NVIDIA driver: libcuda.so.1 not found)")


def find_device():
    """Returns name, driver and CUDA version of device 0; raises NoDevice if there is no device."""
    cuda, count, place = load_driver()
    name, version, mode = ctypes.create_string_buffer(256), ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDeviceGetName(name, 256, 0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetAttribute(ctypes.byref(mode), COMPUTE_MODE, 0)
    driver = None
    try:
        driver = re.search(r"\d+\.\d+(\.\d+)?", pathlib.Path("/proc/driver/nvidia/version").read_text()).group()
    except (OSError, AttributeError):
        pass
    return {"name": name.value.decode(), "devices": count, "driver": driver,
            "cuda_of_driver": f"{version.value // 1000}.{version.value % 1000 // 10}", "shared": mode.value == 0,
            "library_folder": os.path.dirname(place)}


def cuda_folders():
    """Returns the folders with the toolkit's libraries; raises NoDevice that names those that were not found."""
    candidates = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    candidates += sorted(glob.glob("/usr/local/cuda*/lib64") + glob.glob("/usr/local/cuda*/targets/x86_64-linux/lib"))
    for packages in [*sys.path, *glob.glob("/usr/lib/python3*/site-packages"), *glob.glob("/opt/*/.venv/lib/python3*/site-packages")]:
        candidates += sorted(glob.glob(os.path.join(packages or ".", "nvidia/*/lib")))
    folders, missing = [], []
    for library in CUDA_LIBRARIES:
        folder = next((c for c in candidates if c and os.path.exists(os.path.join(c, library))), None)
        if folder is None:
            missing.append(library)
        elif folder not in folders:
            folders.append(folder)
    if missing:
        raise NoDevice("CUDA 13 libraries not found: " + ", ".join(missing) +
                       " (searched LD_LIBRARY_PATH, /usr/local/cuda*/lib64, nvidia/*/lib of Python)")
    return folders


def find_tool(name):
    """Returns the path of a tool of the toolkit, from PATH or the usual folders, or None."""
    places = sorted(glob.glob(f"/usr/local/cuda*/bin/{name}") + glob.glob(f"/usr/local/cuda*/compute-sanitizer/{name}") +
                    glob.glob(f"/opt/nvidia/nsight-compute/*/{name}"))
    return shutil.which(name) or (places[-1] if places else None)


def hold_memory(left):
    cuda, _, _ = load_driver()

    def call(name, *arguments):
        status = getattr(cuda, name)(*arguments)
        if status != 0:
            raise NoDevice(f"{name}: {status}")

    context, address = ctypes.c_void_p(), ctypes.c_uint64()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    taken = max(free.value - left, 0)
    if taken:
        call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(taken))
    print(taken, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    try:
        hold_memory(int(sys.argv[1]))
    except NoDevice as error:
        sys.exit(str(error))
