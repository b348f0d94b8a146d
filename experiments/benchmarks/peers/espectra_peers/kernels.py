"""Espectra's kernel operations beside the ceilings of machine or device: `espectra-benchmark kernels`."""

import json
import subprocess


def measure(espectra):
    said = subprocess.run([espectra.bin / "espectra-benchmark", "kernels", "--device", espectra.device, "--json"], check=True,
                          capture_output=True, text=True).stdout
    runs = {r["name"].split("/iterations")[0].removeprefix("kernels/"): r for r in json.loads(said)["benchmarks"]}
    ceilings = runs.pop("ceilings")
    return {"copy": ceilings["copy_B/s"], "gemm": ceilings["gemm_FLOP/s"],
            "operations": [{"name": name, "seconds": r["real_time"] * 1e-6, "of_copy": r["of_copy"], "of_gemm": r["of_gemm"]}
                           for name, r in runs.items()]}
