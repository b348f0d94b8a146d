// The espectra command itself: info, usage and devices.

#include "experiments/app/command_line.hpp"

#include "espectra/experiments/files/hdf5_file.hpp"

#include <gtest/gtest.h>

namespace espectra {
namespace {

using namespace ::espectra::test;

TEST(Command, Info) {
    const ProgramResult text = run_program({"info"});
    EXPECT_EQ(text.status, 0);
    EXPECT_CONTAINS(text.out, "OpenBLAS");
    EXPECT_CONTAINS(text.out, "memory");
    const ProgramResult result = run_program({"info", "--json"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    const Json json = result.json();
    expect_keys(json, {"version", "versions", "build", "cpu_threads", "cuda_built", "cuda_devices",
                       "memory_available_bytes", "largest_parameters"});
    EXPECT_GT(json.at("largest_parameters").get<double>(), 1000);
}

TEST(Command, Usage) {
    expect_failure(run_program({}), 2, {"--help"});
    expect_failure(run_program({"frobnicate"}), 2, {"frobnicate"});
    expect_failure(run_program({""}), 2, {"unknown command"});
    expect_failure(run_program({"run"}), 2, {"recipe"});
    expect_failure(run_program({"run", "a.toml", "--colour"}), 2, {"--colour"});
    expect_failure(run_program({"info", "more"}), 2, {"more"});
    expect_failure(run_program({"benchmark", "recorded", "training", "a.h5", "b.h5", "1"}), 2, {"EPOCHS"});
    expect_failure(run_program({"benchmark", "recorded", "spectra", "a.h5", "b.h5", "two"}), 2,
                   {"THREADS \"two\""});
    const ProgramResult help = run_program({"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    for (const char* word : {"run", "hessian", "replay", "info", "benchmark", "report"})
        EXPECT_CONTAINS(help.out, word);
    EXPECT_EQ(run_program({"run", "--help"}).status, 0);
    EXPECT_EQ(run_program({"--version"}).status, 0);
}

TEST_F(CommandLine, Devices) {
    EXPECT_EQ(run("cpu", {"--device", "cpu", "--set", "train.epochs=1"}).status, 0);
    expect_failure(run("gpu", {"--device", "gpu"}), 2, {"--device gpu", "auto, cpu or cuda"});
    // auto is the default device of info, and every command names its device.
    const Json info = run_program({"info", "--json"}).json();
    const bool cuda = info.at("default_device") == "cuda";
    const std::string name = cuda ? info.at("devices").at(0).at("name").get<std::string>() : "CPU, ";
    const ProgramResult automatic = run("auto", {"--set", "train.epochs=1"});
    EXPECT_EQ(automatic.status, 0) << automatic.err;
    EXPECT_CONTAINS(automatic.out, "device: " + name);
    EXPECT_CONTAINS(Hdf5File::open(results("auto")).attribute_string("/", "device"), name);
    for (const Words& command : {Words{"replay", results("auto"), "--json"},
                                 Words{"hessian", results("auto"), "--json", "--network", tiny_group}}) {
        const Json json = run_program(command).json();
        EXPECT_CONTAINS(json.at("device").get<std::string>(), name);
    }
}

TEST_F(CommandLine, CudaWithoutADevice) {
    const Json info = run_program({"info", "--json"}).json();
    const auto status = info.at("cuda_status").get<std::string>();
    const std::string line = run_program({"info"}).out;
    EXPECT_CONTAINS(line, "CUDA       " + status);
    EXPECT_EQ(info.at("devices").size(), info.at("cuda_devices").get<std::size_t>());
    if (info.at("default_device") == "cuda") {
        EXPECT_CONTAINS(line, info.at("devices").at(0).at("name").get<std::string>());
        EXPECT_GT(info.at("devices").at(0).at("largest_parameters").get<double>(), 1000);
        EXPECT_EQ(run("cuda", {"--device", "cuda", "--set", "train.epochs=1"}).status, 0);
        return;
    }
    const bool built = info.at("cuda_built").get<bool>();
    EXPECT_CONTAINS(status, (built ? "built in, no device" : "not built in"));
    // One line, and nothing is begun.
    const std::string reason = built ? status : "this build has no CUDA backend";
    expect_failure(run("cuda", {"--device", "cuda"}), 4, {"--device cuda: ", reason});
    EXPECT_FALSE(std::filesystem::exists(output("cuda")));
    ASSERT_EQ(run("cpu", {"--set", "train.epochs=1"}).status, 0);
    for (const char* command : {"hessian", "replay"})
        expect_failure(run_program({command, results("cpu"), "--device", "cuda"}), 4,
                       {"--device cuda: ", reason});
    expect_failure(
        run_program({"benchmark", "recorded", "spectra", results("cpu"), "out.h5", "1", "--device", "cuda"}),
        4, {"--device cuda: ", reason});
}

}  // namespace
}  // namespace espectra
