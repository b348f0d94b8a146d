#include "ptx/execution/handlers.hpp"
#include <bit>
#include <cstdint>

namespace espectra::ptx {

namespace {

constexpr int warp = 32;

/// D = A·B + C for a block of 8 rows of A. Lane l of the warp holds A(l/4, l%4), B(l%4, l/4), and C and D at
/// row l/4, columns 2(l%4) and 2(l%4) + 1 (PTX ISA, matrix fragments for mma.m8n8k4 with f64). Each element
/// is a chain of fused multiply-adds over k = 0 … 3.
void multiply_accumulate(const std::uint64_t* a, const std::uint64_t* b, const std::uint64_t* const (&c)[2],
                         double (&d)[8][8]) {
    double factors[4][8];  // B by rows
    for (int k = 0; k < 4; ++k)
        for (int column = 0; column < 8; ++column)
            factors[k][column] = std::bit_cast<double>(b[4 * column + k]);
    for (int row = 0; row < 8; ++row) {
        double sums[8];
        for (int column = 0; column < 8; ++column)
            sums[column] = std::bit_cast<double>(c[column % 2][4 * row + column / 2]);
        for (int k = 0; k < 4; ++k) {
            const double factor = std::bit_cast<double>(a[4 * row + k]);
            for (int column = 0; column < 8; ++column)
                sums[column] = __builtin_fma(factor, factors[k][column], sums[column]);
        }
        for (int column = 0; column < 8; ++column) d[row][column] = sums[column];
    }
}

/// mma.m16n8k4 consists of two blocks of 8 rows, m8n8k4 is one. The operands are `blocks` rows of A, one of
/// B, and 2·blocks of C.
template <int blocks>
void matrix_product(Strip& strip, const Step& step) {
    for (int first = 0; first < lanes; first += warp) {
        const auto members = static_cast<std::uint32_t>(strip.active >> first);
        if (members == 0) continue;
        if (members != 0xffffffffu)
            strip.report(Fault::incomplete_warp, step.instruction, first + std::countr_zero(members), 0,
                         std::to_string(std::popcount(members)) + " of 32 threads execute it together.");
        const auto operand = [&](int index) {
            return strip.row<const std::uint64_t>(step.operands[static_cast<std::size_t>(index)]) + first;
        };
        double d[blocks][8][8];
        for (int block = 0; block < blocks; ++block) {
            const int sums = blocks + 1 + 2 * block;
            multiply_accumulate(operand(block), operand(blocks), {operand(sums), operand(sums + 1)},
                                d[block]);
        }
        for (int block = 0; block < blocks; ++block)
            for (int part = 0; part < 2; ++part) {
                std::uint64_t* row =
                    strip.row<std::uint64_t>(step.results[static_cast<std::size_t>(2 * block + part)]) +
                    first;
                for (int lane = 0; lane < warp; ++lane)
                    if (members >> lane & 1)
                        row[lane] = std::bit_cast<std::uint64_t>(d[block][lane / 4][2 * (lane % 4) + part]);
            }
    }
}

}  // namespace

Handlers matrix_handlers(const Instruction& instruction) {
    switch (instruction.operation) {
        case Operation::mma_m16n8k4:
            return always(&matrix_product<2>);
        case Operation::mma_m8n8k4:
            return always(&matrix_product<1>);
        default:
            fail_without_handler(instruction);
    }
}

}  // namespace espectra::ptx
