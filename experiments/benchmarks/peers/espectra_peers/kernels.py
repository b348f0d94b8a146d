"""Rates of Espectra's kernel operations relative to those of the machine or device, by `espectra-benchmark
kernels`."""

import json
import subprocess


def measure(espectra):
    output = subprocess.run([espectra.bin / "espectra-benchmark", "kernels", "--device", espectra.device, "--json"], check=True,
                          capture_output=True, text=True).stdout
    runs = {r["name"].split("/iterations")[0].removeprefix("kernels/"): r for r in json.loads(output)["benchmarks"]}
    ceilings = runs.pop("ceilings")
    return {"copy": ceilings["copy_B/s"], "gemm": ceilings["gemm_FLOP/s"],
            "operations": [{"name": name, "seconds": r["real_time"] * 1e-6, "of_copy": r["of_copy"], "of_gemm": r["of_gemm"]}
                           for name, r in runs.items()]}
