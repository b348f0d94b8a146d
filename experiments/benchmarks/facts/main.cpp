// `espectra cuda-facts [SECTION …] [--seconds N] [--small] [--list]`: facts about a device and its libraries
// that this project depends on, as one JSON object on standard output; without names, of all sections. A
// section that fails has an `error` in place of its facts, and the others are measured nevertheless. Exit
// status: 0, 2 wrong use, 3 if an eigensolver's certificate is violated, 4 without a device or if there is an
// `error`.

#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/runtime/cuda/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace espectra {

void print_progress(const std::string& text) { fmt::print(stderr, "{}\n", text); }

namespace {

struct Section {
    const char* name;
    Json (*measure)(const FactOptions&);
    const char* meaning;
};

constexpr Section sections[] = {
    {"device", device_facts, "versions, paths and properties of the device and the libraries"},
    {"workspaces", workspace_facts, "bytes of workspace by number of rows and of matrices"},
    {"kernels", kernel_facts, "registers, memory and occupancy of kernels"},
    {"ceilings", ceiling_facts, "rates of a copy, DGEMM and DSYRK"},
    {"products", product_facts, "rates of the products of the Hessian"},
    {"contractions", contraction_facts, "single contractions by tiles and by cuBLAS, and their model"},
    {"known-spectra", known_spectra_facts, "errors of the eigensolvers for matrices of known spectra"},
    {"eigenvalues", eigenvalue_facts, "times of the eigensolvers by number of rows"},
    {"contexts", context_facts, "times of eigensolves on 1, 2, 4 and 8 contexts"},
    {"single", single_matrix_facts, "eigensolves of single large matrices"},
    {"searches", search_facts, "times of searches for critical points, on device and host"},
};

struct Request {
    std::vector<Section> sections;
    FactOptions options;
};

std::string list_of_sections() {
    std::string text;
    for (const Section& section : sections) text += fmt::format("{:<14} {}\n", section.name, section.meaning);
    return text;
}

double positive_number(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (!(value > 0) || *end != '\0')
        throw InputError(fmt::format("--seconds {}: expected a positive number", text));
    return value;
}

Request parse(const std::vector<std::string>& arguments) {
    Request request;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        const auto* named = std::ranges::find(sections, argument, &Section::name);
        if (argument == "--small") {
            request.options.small = true;
        } else if (argument == "--seconds") {
            request.options.seconds = positive_number(i + 1 < arguments.size() ? arguments[++i] : "");
        } else if (named != std::end(sections)) {
            request.sections.push_back(*named);
        } else {
            throw InputError(fmt::format(
                "\"{}\": expected a section (--list prints them), --seconds N or --small", argument));
        }
    }
    if (request.sections.empty()) request.sections.assign(std::begin(sections), std::end(sections));
    return request;
}

int run(const Request& request) {
    int count = 0;
    if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess || count == 0)
        throw ResourceError(fmt::format("no device ({})", cudaGetErrorString(status)));
    // The waiting thread sleeps, so that its CPU time is work of a library on the host.
    check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
    Json facts;
    for (const Section& section : request.sections) {
        print_progress(section.name);
        try {
            facts[section.name] = section.measure(request.options);
        } catch (const std::exception& error) {
            facts[section.name] = {{"error", error.what()}};
        }
    }
    facts["seconds"] = request.options.total.seconds();
    facts["certified"] = certified(facts);
    fmt::print("{}\n", facts.dump(2));
    for (const std::string& error : errors_in(facts)) print_progress("espectra-cuda-facts: " + error);
    if (!certified(facts))
        print_progress("espectra-cuda-facts: a spectrum of cusolverDnXsyevd violates its certificate");
    return exit_status(facts);
}

}  // namespace
}  // namespace espectra

int main(int argc, char** argv) {
    using namespace espectra;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto has = [&](const char* option) {
        return std::ranges::find(arguments, option) != arguments.end();
    };
    if (has("--help") || has("--list")) {
        if (has("--help"))
            fmt::print("espectra cuda-facts [SECTION ...] [--seconds N] [--small] [--list]\nsections:\n");
        fmt::print("{}", list_of_sections());
        return 0;
    }
    try {
        return run(parse(arguments));
    } catch (const Error& error) {
        print_progress(fmt::format("espectra-cuda-facts: {}", error.what()));
        return error.exit_status();
    }
}
