#pragma once

#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <string>
#include <vector>

// The sections of `espectra cuda-facts`, see main.cpp.

namespace espectra {

using Json = nlohmann::ordered_json;

struct FactOptions {
    /// Sizes at which an emulated device takes seconds, and whose times mean nothing.
    bool small = false;
    /// Budget in seconds. A section leaves out what is not expected to end before, and says so.
    double seconds = 240;
    Timer total;  ///< since the begin of the program

    bool allows(double expected_seconds) const { return total.seconds() + expected_seconds <= seconds; }
};

/// Returns versions, paths and properties of the device and the libraries.
Json device_facts(const FactOptions& options);

/// Asks the libraries for the bytes of their workspaces, and returns them, or the status by which they
/// refuse, by number of rows and of matrices.
Json workspace_facts(const FactOptions& options);

/// Returns registers, memory and occupancy of the kernels that decide over the time of a run.
Json kernel_facts(const FactOptions& options);

/// Measures the rates of a copy, and of a product and a symmetric product by cuBLAS.
Json ceiling_facts(const FactOptions& options);

/// Measures the rates of the Hessian's products in whole assemblies, by the variant that the environment
/// chooses.
Json product_facts(const FactOptions& options);

/// Measures contractions of the Hessian by tiles and by cuBLAS, from small to large, and returns the times
/// next to those that the model expects (kernels/contraction.hpp).
Json contraction_facts(const FactOptions& options);

/// Returns the errors of the eigensolvers for matrices of known spectra, many of them rank-deficient.
Json known_spectra_facts(const FactOptions& options);

/// Measures all eigensolvers on one context by number of rows.
Json eigenvalue_facts(const FactOptions& options);

/// Measures cusolverDnXsyevd on several contexts with a thread each.
Json context_facts(const FactOptions& options);

/// Solves single large matrices by cusolverDnXsyevd, and returns times, memory, work of the host and
/// certificates.
Json single_matrix_facts(const FactOptions& options);

/// Measures the seconds of an iteration of a search for a critical point, on the device and on a core of the
/// host.
Json search_facts(const FactOptions& options);

/// Prints a line to standard error.
void print_progress(const std::string& text);

/// Returns a number, or null where it is NaN or infinite.
inline Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// Returns "<section>: <error>" for every `error` in the facts, at any depth.
inline std::vector<std::string> errors_in(const Json& facts) {
    std::vector<std::string> errors;
    for (const auto& [name, part] : facts.items()) {
        if (!part.is_structured()) continue;
        if (part.is_object() && part.contains("error"))
            errors.push_back(name + ": " + part["error"].get<std::string>());
        for (const std::string& inner : errors_in(part)) errors.push_back(name + ": " + inner);
    }
    return errors;
}

/// Returns false if a solve of a single matrix violates its certificate.
inline bool certified(const Json& facts) {
    if (const auto solves = facts.find("single"); solves != facts.end() && solves->is_array())
        for (const Json& fact : *solves)
            if (!fact.value("certified", true)) return false;
    return true;
}

/// Returns the exit status of the program: that of a resource error where a part could not be measured.
inline int exit_status(const Json& facts) {
    if (!errors_in(facts).empty()) return static_cast<int>(ErrorKind::resource);
    return certified(facts) ? 0 : static_cast<int>(ErrorKind::numerical);
}

}  // namespace espectra
