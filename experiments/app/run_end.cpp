#include "espectra/experiments/app/run_end.hpp"

#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/outcome_json.hpp"
#include "espectra/experiments/app/outcome_text.hpp"
#include "espectra/experiments/app/results_folder.hpp"
#include "espectra/experiments/app/signals.hpp"
#include "espectra/experiments/app/standard_output.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <limits>

namespace espectra {

void publish(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
             const std::string& device, bool json) {
    const std::string all = result_tables(outcome, networks, std::numeric_limits<std::size_t>::max());
    const std::filesystem::path folder = outcome.file.parent_path();
    const bool in_folder = outcome.file == ResultsFile::final_path(folder);
    if (in_folder) write_summary(folder, all);
    if (json) {
        print_text(json_text(outcome_json(outcome, networks, device)) + "\n");
        return;
    }
    constexpr std::size_t most_rows = 40;
    const std::string shown = result_tables(outcome, networks, most_rows);
    print_text("\n" + shown + "\n" + outcome_text(outcome));
    if (in_folder && shown != all)
        print_text(fmt::format("all rows: {}\n", (folder / "summary.txt").string()));
}

void exit_interrupted(const RunOutcome& outcome, const char* advice) {
    const std::string done = work_done_text(outcome);
    const std::string message = fmt::format("espectra: interrupted; {} of this session are kept{}\n",
                                            done.empty() ? "no spectra" : done, advice);
    std::fputs(message.c_str(), stderr);
    std::_Exit(interrupted_status);
}

void check_outcome(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks) {
    if (!outcome.failures.empty()) {
        const Failure& first = outcome.failures.front();
        throw NumericalError(fmt::format(
            "{}, replica {}: {}{}; the computed records are in {}", first.network, first.replica,
            first.reason,
            outcome.failures.size() > 1 ? fmt::format(" (and {} more failures)", outcome.failures.size() - 1)
                                        : "",
            outcome.file.string()));
    }
    for (std::size_t n = 0; n < networks.size(); ++n)
        check_certificates(networks[n].name,
                           {.parameters = networks[n].network.parameters(),
                            .trace_error = outcome.summary[n].values["trace_error"],
                            .symmetry_residual = outcome.summary[n].values["symmetry_residual"],
                            .symmetric = is_symmetric(networks[n].network)});
}

}  // namespace espectra
