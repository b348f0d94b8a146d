#include "espectra/experiments/app/report_call.hpp"

#include "espectra/experiments/app/external_program.hpp"
#include "espectra/experiments/app/signals.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

void require_report() {
    const ExternalProgram program("report");
    if (!program.found())
        throw InputError("--report: no program espectra-report, next to espectra or in PATH");
    if (const int status = program.run({"--version"}, ExternalProgram::Output::nowhere, [] { return false; }))
        throw ResourceError(fmt::format("--report: espectra-report does not start (exit status {})", status));
}

int make_report(const std::filesystem::path& folder, bool json) {
    using enum ExternalProgram::Output;
    const int status =
        ExternalProgram("report").run({folder.string()}, json ? error : standard, stop_signalled);
    return stop_signalled() ? interrupted_status : status;
}

std::string report_hint(const std::filesystem::path& folder) {
    if (!ExternalProgram("report").found()) return "";
    return fmt::format("figures and a page to explore: espectra report {}\n", folder.string());
}

}  // namespace espectra
