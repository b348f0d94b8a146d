#pragma once

#include <functional>
#include <string>
#include <vector>

namespace espectra::lab {

/// One way to do the work of a problem.
struct Variant {
    std::string name;
    std::function<void()> prepare;  ///< restores what run() destroys, outside of the time; or empty
    std::function<void()> run;
    std::function<std::vector<double>()> result;  ///< result of the last run; empty: run() does only a part
};

/// Work with all of its variants; the first is the reference, the way of the library.
using Problem = std::vector<Variant>;

/// A problem by name; its memory is taken when it is made.
struct NamedProblem {
    std::string name;
    std::function<Problem()> make;
};

std::vector<NamedProblem> eigen_problems();
std::vector<NamedProblem> hessian_problems();
std::vector<NamedProblem> training_problems();

}  // namespace espectra::lab
