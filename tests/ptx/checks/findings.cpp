#include "ptx/checks/findings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace espectra::ptx {

namespace {

void (*before_exit_function)() = nullptr;

/// Ends the process with its own status if there are findings.
void report_at_exit() {
    if (before_exit_function != nullptr) before_exit_function();
    const Findings& findings = process_findings();
    if (findings.count() == 0) return;
    fmt::print(stderr, "ptx: {} findings:\n", findings.count());
    for (const std::string& line : findings.lines()) fmt::print(stderr, "ptx:   {}\n", line);
    std::cout.flush();
    std::fflush(nullptr);
    _exit(findings_exit_status);
}

}  // namespace

const char* name_of(Fault fault) {
    switch (fault) {
        case Fault::out_of_bounds:
            return "out_of_bounds";
        case Fault::freed_memory:
            return "freed_memory";
        case Fault::misaligned:
            return "misaligned";
        case Fault::uninitialized_memory:
            return "uninitialized_memory";
        case Fault::uninitialized_register:
            return "uninitialized_register";
        case Fault::race:
            return "race";
        case Fault::divergent_barrier:
            return "divergent_barrier";
        case Fault::incomplete_warp:
            return "incomplete_warp";
        case Fault::division_by_zero:
            return "division_by_zero";
        case Fault::parameter:
            return "parameter";
        case Fault::invalid_launch:
            return "invalid_launch";
        case Fault::invalid_argument:
            return "invalid_argument";
        case Fault::stream_order:
            return "stream_order";
        case Fault::leak:
            return "leak";
    }
    return "?";
}

std::string to_string(const Finding& finding) {
    std::string line = fmt::format("{}: {}", name_of(finding.fault), finding.place.kernel);
    if (finding.place.line > 0)
        line += fmt::format(", line {}: {}", finding.place.line, finding.place.instruction);
    if (finding.block >= 0) line += fmt::format(", block {}", finding.block);
    if (finding.thread >= 0) line += fmt::format(", thread {}", finding.thread);
    line += ": " + finding.detail;
    if (finding.address != 0) line += fmt::format(" (address {:#x})", finding.address);
    return line;
}

void Findings::add(const Finding& finding, std::uint64_t times) {
    const std::lock_guard lock(mutex_);
    const auto [entry, first] = index_.try_emplace({finding.fault, finding.place}, found_.size());
    if (!first) {
        found_[entry->second].second += times;
        return;
    }
    if (found_.size() == most_places) {
        index_.erase(entry);
        found_.back().second += times;
        return;
    }
    found_.emplace_back(finding, times);
    if (listener_) listener_(finding);
}

std::size_t Findings::count() const {
    const std::lock_guard lock(mutex_);
    return found_.size();
}

std::size_t Findings::count(Fault fault) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(found_, [&](const auto& found) { return found.first.fault == fault; }));
}

std::vector<std::string> Findings::lines() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> result;
    for (const auto& [finding, times] : found_)
        result.push_back(times == 1 ? to_string(finding)
                                    : fmt::format("{} ({} times)", to_string(finding), times));
    return result;
}

std::vector<std::pair<Finding, std::uint64_t>> Findings::all() const {
    const std::lock_guard lock(mutex_);
    return found_;
}

void Findings::clear() {
    const std::lock_guard lock(mutex_);
    found_.clear();
    index_.clear();
}

Findings& process_findings(void (*before_exit)()) {
    // Never destroyed: threads and destructors that outlive static objects may still add to it.
    static Findings* const findings = [] {
        auto* created = new Findings(
            [](const Finding& finding) { std::cerr << "ptx: " << to_string(finding) << std::endl; });
        std::atexit(report_at_exit);
        return created;
    }();
    if (before_exit != nullptr) before_exit_function = before_exit;
    return *findings;
}

}  // namespace espectra::ptx
