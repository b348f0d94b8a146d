#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/loss.hpp"

#include <array>
#include <utility>

namespace espectra {

namespace {

constexpr std::array<std::pair<std::string_view, Activation>, 6> activations{{
    {"linear", Activation::linear},
    {"relu", Activation::relu},
    {"sigmoid", Activation::sigmoid},
    {"tanh", Activation::tanh},
    {"esp", Activation::esp},
    {"softplus", Activation::softplus},
}};

constexpr std::array<std::pair<std::string_view, Loss>, 3> losses{{
    {"sigmoid_cross_entropy", Loss::sigmoid_cross_entropy},
    {"softmax_cross_entropy", Loss::softmax_cross_entropy},
    {"mean_squared_error", Loss::mean_squared_error},
}};

template <class Table>
auto find_name(const Table& table, std::string_view name)
    -> std::optional<typename Table::value_type::second_type> {
    for (const auto& [key, value] : table)
        if (key == name) return value;
    return std::nullopt;
}

template <class Table, class Value>
std::string_view find_value(const Table& table, Value wanted) {
    for (const auto& [key, value] : table)
        if (value == wanted) return key;
    return "?";
}

}  // namespace

std::optional<Activation> activation_from_name(std::string_view name) { return find_name(activations, name); }
std::string_view activation_name(Activation activation) { return find_value(activations, activation); }
std::optional<Loss> loss_from_name(std::string_view name) { return find_name(losses, name); }
std::string_view loss_name(Loss loss) { return find_value(losses, loss); }

}  // namespace espectra
