// The `espectra` command. Any other command than its own is carried out by the program espectra-<name>, which
// is searched for next to this one and then in PATH.

#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/external_program.hpp"
#include "espectra/runtime/error.hpp"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using namespace espectra;

constexpr std::array<std::string_view, 4> own_commands = {"run", "hessian", "replay", "info"};

int fail(std::string_view message, int status) {
    std::string line(message);  // names and values in it may have line breaks
    std::ranges::replace_if(
        line, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    std::fputs(fmt::format("espectra: {}\n", line).c_str(), stderr);  // which may be closed
    return status;
}

/// Opens /dev/null in place of a closed standard input, output or error, so that no results file gets its
/// number. For reading only: writing to a closed standard output is still an error.
void open_standard_streams() {
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
        if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != stream) return;
}

void add_device(CLI::App& command, std::string& device) {
    command.add_option("--device", device, "auto, cpu or cuda; auto uses CUDA if there is a device")
        ->type_name("DEVICE")
        ->capture_default_str();
}

int parse_and_run(int argc, char** argv) {
    CLI::App app{"Exact Hessian spectra of neural networks while they train", "espectra"};
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("espectra ") + ESPECTRA_VERSION);
    app.footer(
        "Other commands: benchmark (espectra-benchmark), cuda-facts (espectra-cuda-facts, in CUDA builds),\n"
        "report (espectra-report).\n"
        "Exit status: 0 done, 2 wrong use or bad input, 3 numerical failure, 4 device, memory or disk,\n"
        "130 interrupted (computed records are kept).");

    std::string device = "auto";
    RunOptions run_options;
    CLI::App* run = app.add_subcommand("run", "Train the networks of a recipe and record their spectra");
    run->add_option("recipe", run_options.recipe, "Recipe (TOML)")->required();
    run->add_option("--output", run_options.output, "New folder for the results; default: results/<recipe>");
    add_device(*run, device);
    run->add_flag("--resume", run_options.resume,
                  "Continue the run in the folder, or start one if there is none");
    run->add_option("--set", run_options.overrides,
                    "Override a key of the recipe, for example train.epochs=100")
        ->type_name("KEY=VALUE")
        ->take_all();
    run->add_flag("--report", run_options.report,
                  "Make figures, animations and an HTML page of the results (espectra report)");
    run->add_flag("--dry-run", run_options.dry_run,
                  "Print the plan (networks, spectra, memory, time) and compute nothing");
    run->add_flag("--json", run_options.json, "Print one JSON object and nothing else");

    HessianOptions hessian_options;
    CLI::App* hessian = app.add_subcommand("hessian", "Exact Hessian and spectrum of one snapshot of a run");
    hessian->add_option("run", hessian_options.run, "Recorded run or results.h5")->required();
    hessian->add_option("--snapshot", hessian_options.snapshot, "Index of the snapshot; default: the last")
        ->type_name("K");
    hessian->add_option("--network", hessian_options.network, "Group of a results.h5 that holds several");
    hessian->add_option("--replica", hessian_options.replica, "Replica of that group")->capture_default_str();
    add_device(*hessian, device);
    hessian->add_option("--output", hessian_options.output,
                        "Write Hessian and spectrum to this new HDF5 file");
    hessian->add_flag("--eigenvectors", hessian_options.eigenvectors,
                      "Eigenvectors and participation ratios as well");
    hessian->add_flag("--json", hessian_options.json, "Print one JSON object and nothing else");

    ReplayOptions replay_options;
    CLI::App* replay = app.add_subcommand("replay", "Recompute a recorded run and compare");
    replay->add_option("run", replay_options.run, "Recorded run or results.h5")->required();
    add_device(*replay, device);
    replay->add_flag("--json", replay_options.json, "Print one JSON object and nothing else");

    InfoOptions info_options;
    CLI::App* info = app.add_subcommand("info", "Show the versions, devices and memory of this machine");
    info->add_flag("--json", info_options.json, "Print one JSON object and nothing else");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        return fail(std::string(error.what()) + " (see espectra --help)", static_cast<int>(ErrorKind::input));
    }
    if (*run) return run_command(run_options, choose_device(device));
    if (*hessian) return hessian_command(hessian_options, choose_device(device));
    if (*replay) return replay_command(replay_options, choose_device(device));
    return info_command(info_options);
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_streams();
    if (argc > 1 && argv[1][0] != '-' &&
        std::ranges::find(own_commands, std::string_view(argv[1])) == own_commands.end()) {
        const ExternalProgram program(argv[1]);
        if (program.found()) program.execute(argv + 1);
        return fail(fmt::format("unknown command \"{0}\", and no program espectra-{0} (see espectra --help)",
                                argv[1]),
                    static_cast<int>(ErrorKind::input));
    }
    // A file size limit or a pipe without a reader makes the write fail instead of ending the process.
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const int status = parse_and_run(argc, argv);
        if (std::fflush(stdout) != 0 || std::ferror(stdout))
            return fail("cannot write to standard output", static_cast<int>(ErrorKind::resource));
        return status;
    } catch (const Error& error) {
        if (std::getenv("ESPECTRA_DEBUG"))
            std::fputs(fmt::format("{}:{}: {}\n", error.where().file_name(), error.where().line(),
                                   error.where().function_name())
                           .c_str(),
                       stderr);
        return fail(error.what(), error.exit_status());
    } catch (const std::bad_alloc&) {
        return fail("out of memory", static_cast<int>(ErrorKind::resource));
    } catch (const std::system_error& error) {  // of files, threads, standard output
        return fail(error.what(), static_cast<int>(ErrorKind::resource));
    } catch (const std::exception& error) {
        return fail(fmt::format("internal error: {}", error.what()), 1);
    }
}
