#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/experiments/replay/comparison.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace espectra {

int compare_runs(const std::vector<std::string>& arguments) {
    if (arguments.size() != 2) throw InputError("benchmark compare: expected FIRST.h5 SECOND.h5");
    const RunComparison found = compare(open_recorded_runs(arguments[0]), open_recorded_runs(arguments[1]));
    const nlohmann::ordered_json json = {{"snapshots", found.snapshots},
                                         {"same_bits", found.same_bits()},
                                         {"different_theta", found.different_theta},
                                         {"different_eigenvalues", found.different_eigenvalues},
                                         {"theta_error_max", found.theta_error_max},
                                         {"eigenvalue_error_max", found.eigenvalue_error_max},
                                         {"cost_error_max", found.cost_error_max}};
    fmt::print("{}\n", json.dump(2));
    return 0;
}

}  // namespace espectra
