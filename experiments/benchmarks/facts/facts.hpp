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

/// Versions, paths and properties of the device and the libraries.
Json device_facts(const FactOptions& options);

/// What the libraries answer when they are asked for workspaces, by number of rows and of matrices: bytes, or
/// the status by which they refuse.
Json workspace_facts(const FactOptions& options);

/// Registers, memory and occupancy of the kernels that decide over the time of a run.
Json kernel_facts(const FactOptions& options);

/// Rates of a copy, and of a product and a symmetric product by cuBLAS.
Json ceiling_facts(const FactOptions& options);

/// Rates of the Hessian's products in whole assemblies, by the variants that the environment chooses.
Json product_facts(const FactOptions& options);

/// Contractions of the Hessian by tiles and by cuBLAS, from small to large: times, and those that the model
/// of kernels/contraction.hpp expects.
Json contraction_facts(const FactOptions& options);

/// Errors of the eigensolvers for matrices of known spectra, many of them rank-deficient.
Json known_spectra_facts(const FactOptions& options);

/// Times of all eigensolvers of one context by number of rows.
Json eigenvalue_facts(const FactOptions& options);

/// Times of cusolverDnXsyevd on several contexts with a thread each.
Json context_facts(const FactOptions& options);

/// cusolverDnXsyevd for single large matrices: times, memory, work of the host, certificates.
Json single_matrix_facts(const FactOptions& options);

/// Seconds of an iteration of a search for a critical point, on the device and on a core of the host.
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
