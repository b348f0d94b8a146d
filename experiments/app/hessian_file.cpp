#include "espectra/experiments/app/hessian_file.hpp"

#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"

#include <system_error>

namespace espectra {

void write_hessian_file(const std::filesystem::path& path, const RecordedRun& run,
                        const SnapshotHessian& result) {
    const auto partial = std::filesystem::path(path.string() + ".partial");
    std::error_code error;
    std::filesystem::remove(partial, error);
    const Index p = run.network.parameters();
    const auto write = [&](Hdf5File& file, const char* name, std::vector<Index> extents,
                           const std::vector<double>& values) {
        if (!values.empty()) file.write(name, extents, values);
    };
    try {
        Hdf5File file = Hdf5File::create(partial);
        file.set_attribute("/", "source", run.label);
        file.set_attribute("/", "snapshot", static_cast<std::int64_t>(result.snapshot));
        file.set_attribute("/", "epoch", run.epoch[static_cast<std::size_t>(result.snapshot)]);
        file.set_attribute("/", "versions", version_text());
        write(file, "theta", {p}, result.theta);
        write(file, "gradient", {p}, result.gradient);
        write(file, "hessian", {p, p}, result.hessian);
        write(file, "gauss_newton", {p, p}, result.gauss_newton);
        write(file, "eigenvalues", {p}, result.spectrum.eigenvalues);
        write(file, "eigenvalues_gauss_newton", {p}, result.spectrum.gauss_newton);
        write(file, "eigenvectors", {p, p}, result.spectrum.eigenvectors);
        write(file, "inverse_participation_ratio", {p}, result.spectrum.participation);
        for (const auto& [name, block] : result.blocks) {
            const std::string dataset = "blocks/" + name;
            file.write(dataset, {std::ssize(block.eigenvalues)}, block.eigenvalues);
            file.set_attribute(dataset, "trace_error", block.trace_error);
        }
        file.close();
        std::filesystem::rename(partial, path);
    } catch (...) {
        std::filesystem::remove(partial, error);
        throw;
    }
}

}  // namespace espectra
