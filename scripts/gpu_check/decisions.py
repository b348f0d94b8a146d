"""What the figures of a run decide. Each decision is made by a rule from figures of this run alone, and is written
down with them; it changes nothing by itself."""


def decisions(steps):
    """Returns all decisions for which the results of the steps have figures. `steps`: results by step."""
    rules = [block_rows, batched_rows, contexts, own_bisection, batched_solver, products, contractions, one_triangle, device_of_auto,
             search_on_host]
    found = []
    for rule in rules:
        try:
            decision = rule(steps)
        except (KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
            decision = None  # figures are missing, or a part has an error
        if decision:
            found.append(decision)
    return found


def decision(question, rule, figures, decided):
    return {"question": question, "rule": rule, "figures": figures, "decision": decided}


def section(steps, step, name):
    """Returns the facts of a section of espectra-cuda-facts; raises KeyError if it has an error in place of them."""
    facts = steps[step][name][name]
    if "error" in facts:
        raise KeyError(name)
    return facts


def times_by_rows(steps):
    """Returns {n: {solver: seconds for each matrix}}."""
    table = {}
    for fact in section(steps, "eigenvalues", "eigenvalues"):
        if fact.get("seconds_per_matrix"):
            table.setdefault(fact["n"], {})[fact["solver"]] = fact["seconds_per_matrix"]
    return table


def limits(steps):
    return steps.get("machine", {}).get("device", {}).get("device", {})


def last_won(table, one, others):
    """Returns the largest n up to which `one` is at least as fast as all `others`, 0 if it never is."""
    largest = 0
    for n in sorted(table):
        if one not in table[n]:
            continue
        if any(table[n][other] < table[n][one] for other in others if other in table[n]):
            break
        largest = n
    return largest


def block_rows(steps):
    table = times_by_rows(steps)
    compared = {n: row for n, row in table.items() if "own" in row and ("batched" in row or "looped" in row)}
    if not compared:
        return None
    return decision("Up to which n does the own kernel solve (most_block_rows)?",
                    "the largest measured n up to which it is the fastest",
                    {"seconds_per_matrix": compared, "at_present": limits(steps).get("most_block_rows")},
                    last_won(compared, "own", ("batched", "looped")))


def batched_rows(steps):
    table = {n: row for n, row in times_by_rows(steps).items() if "batched" in row and "looped" in row}
    if not table:
        return None
    return decision("Up to which n are matrices solved in batches (most_batched_rows)?",
                    "the largest measured n up to which cusolverDnXsyevBatched is faster than cusolverDnXsyevd in a loop",
                    {"seconds_per_matrix": table, "at_present": limits(steps).get("most_batched_rows")},
                    last_won(table, "batched", ("looped",)))


def contexts(steps):
    table = {}
    for fact in section(steps, "eigenvalues", "contexts"):
        if fact.get("seconds_per_matrix"):
            table.setdefault(fact["n"], {})[fact["contexts"]] = fact["seconds_per_matrix"]
    if not table:
        return None
    decided = {}
    for n, row in table.items():
        best = min(row)
        for count in sorted(row):
            if row[count] < 0.95 * row[best]:
                best = count
        decided[n] = best
    return decision("How many eigensolves run at a time, each on a context with a thread?",
                    "the fewest contexts that no larger number improves by 5 %", {"seconds_per_matrix": table}, decided)


def own_bisection(steps):
    shares = {n: 1 - row["reduction"] / row["looped"] for n, row in times_by_rows(steps).items()
              if "reduction" in row and "looped" in row and n > 256}
    if not shares:
        return None
    return decision("Is a bisection on the device worth writing in place of the last part of cusolverDnXsyevd?",
                    "yes where a quarter or more of the solve is not the reduction to tridiagonal form",
                    {"share_after_reduction": shares}, {n: share >= 0.25 for n, share in shares.items()})


def batched_solver(steps):
    wrong = {}
    for fact in section(steps, "eigenvalues", "known-spectra"):
        if fact["solver"] == "batched":
            wrong[fact["n"]] = {kind: one["wrong"] for kind, one in fact["kinds"].items() if one["wrong"]}
    if not wrong:
        return None
    return decision("Is cusolverDnXsyevBatched right for rank-deficient matrices?",
                    "yes if no eigenvalue of the known spectra is off by more than 100 n ε of the largest",
                    {"wrong_by_kind": wrong}, not any(wrong.values()))


def products(steps):
    table = {}
    for name, found in steps["kernels"].items():
        if name.startswith("products, "):
            for fact in found["products"]:
                if fact.get("flops_per_second"):
                    table.setdefault(fact["network"], {})[name[len("products, "):]] = fact["flops_per_second"] / 1e12
    if not table:
        return None
    ceiling = steps["kernels"].get("ceilings", {}).get("ceilings", {}).get("dgemm_flops_per_second")
    return decision("By which variant are the products of the Hessian computed?", "the fastest",
                    {"teraflops_per_second": table, "dgemm_teraflops_per_second": ceiling / 1e12 if ceiling else None},
                    {network: max(row, key=row.get) for network, row in table.items()})


def contractions(steps):
    table, wrong = {}, []
    for fact in section(steps, "kernels", "contractions"):
        if "tiles_seconds" not in fact:
            continue
        name = "{contraction}, {rows} x {columns} x {examples}".format(**fact)
        seconds = {one: fact[f"{one}_seconds"] for one in ("tiles", "cublas")}
        table[name] = {**seconds, **{f"expected_{one}": fact[f"expected_{one}_seconds"] for one in seconds}}
        if seconds[fact["chosen"]] > min(seconds.values()):
            wrong.append(name)
    if not table:
        return None
    return decision("Where does the model of contractions choose the slower of tiles and cuBLAS (library_is_faster)?",
                    "the contractions for which the other way takes less time", {"seconds": table}, wrong)


def one_triangle(steps):
    ceilings = section(steps, "kernels", "ceilings")
    # DSYRK does half the operations of DGEMM.
    ratio = 0.5 * ceilings["dgemm_flops_per_second"] / ceilings["dsyrk_flops_per_second"]
    return decision("Does it pay to compute one triangle of a symmetric product alone?",
                    "yes if DSYRK takes at most 0.8 of the time of DGEMM", {"time_of_dsyrk_to_dgemm": ratio}, ratio <= 0.8)


def device_of_auto(steps):
    seconds = {name: steps["digits"][name]["wall_seconds"] for name in ("device", "host")}
    return decision("Is the device faster than the CPU for the recipe of the digits (--device auto)?",
                    "the shorter wall time", {"wall_seconds": seconds, "host": steps["digits"]["host"]["device"]},
                    min(seconds, key=seconds.get))


def search_on_host(steps):
    table, wrong = {}, []
    for fact in section(steps, "kernels", "searches"):
        if "device_seconds" not in fact:
            continue
        on_host = fact["host_core_seconds"] / fact["host_cores"]
        table[fact["parameters"]] = {"device": fact["device_seconds"], "host": on_host}
        if (on_host < fact["device_seconds"]) != fact["model_chooses_host"]:
            wrong.append(fact["parameters"])
    if not table:
        return None
    return decision("Where do searches for critical points run (search_is_faster_on_host)?",
                    "the shorter time of an iteration, on the host with all cores at once",
                    {"seconds_per_iteration": table, "parameters_where_the_model_is_wrong": wrong},
                    {p: min(row, key=row.get) for p, row in table.items()})
