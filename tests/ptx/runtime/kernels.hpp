#pragma once

namespace espectra::ptx {

/// Adds a line for each kernel that has been launched to the file of options().launches, if there is one:
/// symbol, launches, blocks, thread instructions, seconds and readable name, separated by tabs.
void write_launches();

}  // namespace espectra::ptx
