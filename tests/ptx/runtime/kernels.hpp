#pragma once

namespace espectra::ptx {

/// Adds a line for each kernel that has been launched to the file of options().launches, if there is one:
/// symbol, launches, blocks, thread instructions, seconds and readable name, separated by tabs; then, if
/// barriers were left out, a digit for each, 1 for those without which a launch had a finding.
void write_launches();

}  // namespace espectra::ptx
