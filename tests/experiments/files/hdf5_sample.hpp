#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace espectra::test {

using Doubles = std::vector<double>;
using Integers = std::vector<std::int64_t>;

/// Writes a file with every kind of object that results have.
inline void write_sample(const std::filesystem::path& path) {
    Hdf5File file = Hdf5File::create(path);
    file.set_attribute("/", "recipe", "title = \"β\"\n[data]\n");
    file.set_attribute("/", "widths", Integers{2, 10, 1});
    file.write<double>("theta", {2, 3}, {1, 2, 3, 4, 5, 6});
    file.create_group("esp/inner");
    file.create_group("relu");
    file.write<std::int64_t>("esp/epoch", {3}, {0, 10, 20});
    file.set_attribute("esp", "learning_rate", 0.01);
    file.set_attribute("esp", "axes", std::vector<std::string>{"replica", "parameter"});
    file.create_dataset<double>("esp/eigenvalues", {1, 4, 100});
    file.close();
}

}  // namespace espectra::test
