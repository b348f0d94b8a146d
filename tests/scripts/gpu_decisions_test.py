"""Tests what the figures of scripts/gpu-check decide (scripts/gpu_check/decisions.py), by hand-made figures.

Usage: gpu_decisions_test.py FOLDER, that of the scripts."""

import pathlib
import sys
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))
from gpu_check import decisions


class Decisions(unittest.TestCase):
    def test_nothing_is_decided_without_figures(self):
        self.assertEqual(decisions.decisions({}), [])
        self.assertEqual(decisions.decisions({"eigenvalues": {"eigenvalues": {"eigenvalues": {"error": "x"}}}}), [])

    def test_solvers_by_rows(self):
        times = {52: {"own": 1, "batched": 2, "looped": 9}, 64: {"own": 2, "batched": 2, "looped": 9},
                 128: {"batched": 5, "looped": 9}, 500: {"batched": 30, "looped": 20, "reduction": 15},
                 1920: {"batched": 90, "looped": 100, "reduction": 60}}
        facts = [{"n": n, "solver": solver, "seconds_per_matrix": seconds}
                 for n, row in times.items() for solver, seconds in row.items()]
        facts.append({"n": 4000, "solver": "batched", "skipped": "time"})
        machine = {"device": {"device": {"most_block_rows": 64, "most_batched_rows": 512}}}
        found = {one["question"]: one for one in
                 decisions.decisions({"eigenvalues": {"eigenvalues": {"eigenvalues": facts}}, "machine": machine})}
        self.assertEqual([one["decision"] for one in found.values()], [64, 128, {500: True, 1920: True}])
        block = next(one for question, one in found.items() if "most_block_rows" in question)
        self.assertEqual(block["figures"]["at_present"], 64)
        self.assertEqual(set(block["figures"]["seconds_per_matrix"]), {52, 64})

    def test_contexts(self):
        times = {500: {1: 10, 2: 6, 4: 5, 8: 4.9}, 1920: {1: 10, 2: 11, 4: 12, 8: 13}}
        facts = [{"n": n, "contexts": c, "seconds_per_matrix": s} for n, row in times.items() for c, s in row.items()]
        [one] = decisions.decisions({"eigenvalues": {"contexts": {"contexts": facts}}})
        self.assertEqual(one["decision"], {500: 4, 1920: 1})

    def test_products_and_triangles(self):
        kernels = {"ceilings": {"ceilings": {"dgemm_flops_per_second": 60e12, "dsyrk_flops_per_second": 40e12}},
                   "products, a": {"products": [{"network": "x", "flops_per_second": 1e12}, {"network": "y", "error": "z"}]},
                   "products, b": {"products": [{"network": "x", "flops_per_second": 2e12}, {"network": "y", "flops_per_second": 1e12}]}}
        found = decisions.decisions({"kernels": kernels})
        self.assertEqual([one["decision"] for one in found], [{"x": "b", "y": "b"}, True])
        self.assertEqual(found[0]["figures"]["teraflops_per_second"]["x"], {"a": 1, "b": 2})
        self.assertAlmostEqual(found[1]["figures"]["time_of_dsyrk_to_dgemm"], 0.75)

    def test_contractions(self):
        facts = [{"contraction": "layer", "rows": rows, "columns": 9, "examples": 7, "tiles_seconds": tiles, "cublas_seconds": 2.0,
                  "expected_tiles_seconds": 1.0, "expected_cublas_seconds": 1.0, "chosen": chosen}
                 for rows, tiles, chosen in ((1, 1.0, "tiles"), (2, 3.0, "tiles"), (3, 3.0, "cublas"), (4, 1.0, "cublas"))]
        facts.append({"inputs": 9, "skipped": "time"})
        [one] = decisions.decisions({"kernels": {"contractions": {"contractions": facts}}})
        self.assertEqual(one["decision"], ["layer, 2 x 9 x 7", "layer, 4 x 9 x 7"])

    def test_device_or_host(self):
        digits = {"device": {"wall_seconds": 9.0}, "host": {"wall_seconds": 8.0, "device": "CPU, 16 threads"}}
        searches = [{"parameters": 52, "device_seconds": 1.0, "host_core_seconds": 8.0, "host_cores": 16, "model_chooses_host": True},
                    {"parameters": 652, "device_seconds": 1.0, "host_core_seconds": 32.0, "host_cores": 16, "model_chooses_host": True},
                    {"parameters": 1922, "skipped": "time"}]
        found = decisions.decisions({"digits": digits, "kernels": {"searches": {"searches": searches}}})
        self.assertEqual([one["decision"] for one in found], ["host", {52: "host", 652: "device"}])
        self.assertEqual(found[1]["figures"]["parameters_where_the_model_is_wrong"], [652])


unittest.main()
