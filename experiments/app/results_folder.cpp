#include "espectra/experiments/app/results_folder.hpp"

#include "espectra/experiments/device/device.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <fstream>
#include <system_error>

namespace espectra {

ResultsFile open_results(const std::filesystem::path& folder, bool resume, const Experiment& experiment,
                         const RunPlan& plan, const std::string& device) {
    std::error_code error;
    const auto status = std::filesystem::status(folder, error);
    const bool exists = std::filesystem::exists(status);
    if (exists && !std::filesystem::is_directory(status))
        throw InputError(fmt::format("--output {}: exists and is not a folder", folder.string()));
    if (exists && !resume)
        throw InputError(
            fmt::format("--output {}: the folder exists; use --resume to continue its run, or another folder",
                        folder.string()));
    if (exists && (std::filesystem::exists(ResultsFile::partial_path(folder)) ||
                   std::filesystem::exists(ResultsFile::final_path(folder))))
        return ResultsFile::resume(folder, experiment, plan.networks);
    std::filesystem::create_directories(folder, error);
    if (error)
        throw InputError(fmt::format("--output {}: cannot be created: {}", folder.string(), error.message()));
    try {
        return ResultsFile::create(folder, experiment, plan.networks, device, version_text());
    } catch (...) {
        if (!exists) std::filesystem::remove(folder, error);
        throw;
    }
}

void write_summary(const std::filesystem::path& folder, const std::string& text) {
    const auto path = folder / "summary.txt", partial = folder / "summary.txt.partial";
    std::ofstream stream(partial);
    if (!(stream << text) || (stream.close(), stream.fail())) {
        std::error_code error;
        std::filesystem::remove(partial, error);
        throw ResourceError(fmt::format("{}: cannot be written", path.string()));
    }
    std::filesystem::rename(partial, path);
}

}  // namespace espectra
