// Loads and stores: PTX ISA 9.0, sections 9.7.9.8, ld; 9.7.9.11, st; 9.7.9.20, cvta; 6.4.1, Addresses as
// Operands; 9.4.1: "The value loaded is sign-extended to the destination register width for signed integers,
// and is zero-extended … for unsigned and bit-size types"; of a wider source "the lower n bits" are stored.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ptx/instructions/memory_forms.hpp"
#include <cstring>

namespace espectra::ptx::test {

namespace {

constexpr int first_offset = 16, second_offset = 32;  // of the accesses; multiples of 16, the largest size

/// Returns different bytes, half of them with their highest bit set, so that every extension shows.
std::vector<std::uint64_t> pattern() {
    std::vector<std::uint64_t> words(array_words);
    for (int i = 0; i < array_bytes; ++i)
        words[static_cast<std::size_t>(i / 8)] |= std::uint64_t{static_cast<unsigned char>(0x80 + 73 * i)}
                                                  << 8 * (i % 8);
    return words;
}

unsigned char byte_of(const std::vector<std::uint64_t>& words, int i) {
    return static_cast<unsigned char>(words[static_cast<std::size_t>(i / 8)] >> 8 * (i % 8));
}

/// Returns `bytes` bytes from byte `offset`, the lowest first, extended to 64 bits.
std::uint64_t element(const std::vector<std::uint64_t>& words, int offset, int bytes, bool sign_extended) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= std::uint64_t{byte_of(words, offset + i)} << 8 * i;
    if (sign_extended && byte_of(words, offset + bytes - 1) & 0x80)
        for (int i = bytes; i < 8; ++i) value |= std::uint64_t{0xff} << 8 * i;
    return value;
}

int shift_of(Address address, int offset) {
    return address == Address::reg ? offset : address == Address::reg_minus ? offset + 24 : 0;
}
int written_offset(Address address, int offset) { return address == Address::reg_minus ? -24 : offset; }
int reached(Address address, int offset) { return address == Address::symbol ? 0 : offset; }

void check_load(const MemoryForm& test, Address address, int offset) {
    KernelRun run{.input = pattern(), .output = std::vector<std::uint64_t>(4)};
    std::vector<std::uint64_t> array = run.input;
    if (test.storage == Storage::parameter) {
        run.parameters.resize(array_bytes);
        std::memcpy(run.parameters.data(), array.data(), array_bytes);
    }
    run.shared_bytes = array_bytes;
    std::string body = prologue(test.storage, "%rd38", shift_of(address, offset));
    body += statement_of(test, address, written_offset(address, offset)) + ";\n";
    for (int i = 0; i < test.count; ++i)
        body += store_register(test.kind, i + 1, "%rd39", static_cast<std::size_t>(8 * i));
    execute(body + "ret;\n", run);
    if (test.storage == Storage::parameter)  // the addresses of input and output come first
        array.insert(array.begin(), {run.input_address, run.output_address});
    for (int i = 0; i < test.count; ++i)
        EXPECT_EQ(run.output[static_cast<std::size_t>(i)],
                  element(array, reached(address, offset) + i * test.bytes, test.bytes, test.sign_extended) &
                      mask_of(test.kind))
            << "element " << i << " of " << statement_of(test, address, offset);
}

void check_store(const MemoryForm& test, Address address, int offset) {
    // The input holds the values; the output is the array, or a copy of the array in shared memory.
    const std::vector<std::uint64_t> values = {0x8123456789abcdef, 0x91a2b3c4d5e6f708};
    KernelRun run{.input = values, .output = pattern(), .shared_bytes = array_bytes};
    std::vector<std::uint64_t> expected = run.output;
    for (int i = 0; i < test.count * test.bytes; ++i) {
        const int at = reached(address, offset) + i;
        const std::uint64_t byte =
            values[static_cast<std::size_t>(i / test.bytes)] >> 8 * (i % test.bytes) & 0xff;
        std::uint64_t& word = expected[static_cast<std::size_t>(at / 8)];
        word = (word & ~(std::uint64_t{0xff} << 8 * (at % 8))) | byte << 8 * (at % 8);
    }
    std::string body = prologue(test.storage, "%rd39", shift_of(address, offset));
    if (test.storage == Storage::generic)
        body += fmt::format("add.s64 %rd20, %rd37, {};\n", shift_of(address, offset));
    for (int i = 0; i < test.count; ++i)
        body += load_register(test.kind, i + 1, "%rd38", static_cast<std::size_t>(8 * i));
    body += statement_of(test, address, written_offset(address, offset)) + ";\n";
    if (test.storage == Storage::shared || test.storage == Storage::generic_shared)
        for (int i = 0; i < array_words; ++i)
            body += fmt::format(
                "ld.shared.f64 %fd39, [tested_shared+{0}];\nst.global.f64 [%rd39+{0}], %fd39;\n", 8 * i);
    execute(body + "ret;\n", run);
    EXPECT_EQ(run.output, expected) << statement_of(test, address, offset);
}

class MemoryFormTest : public ::testing::TestWithParam<MemoryForm> {};

TEST_P(MemoryFormTest, MovesTheBytes) {
    const MemoryForm& test = GetParam();
    for (const Address address : addresses_of(test))
        for (const int offset : {first_offset, second_offset, first_offset + test.bytes * test.count})
            test.form.starts_with("ld") ? check_load(test, address, offset)
                                        : check_store(test, address, offset);
}

INSTANTIATE_TEST_SUITE_P(Load, MemoryFormTest, ::testing::ValuesIn(load_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Store, MemoryFormTest, ::testing::ValuesIn(store_forms()), form_name);

}  // namespace

// nvcc's front end up to compute_90 declares a register in a scope of its own for this conversion.
TEST(Memory, RegistersOfAScopeAreItsOwn) {
    KernelRun run{.input = {0x3ff8000000000000}, .output = {0}, .shared_bytes = 8};
    const std::string body =
        prologue(Storage::global, "%rd38", 0) +
        "mov.u32 %r1, tested_shared;\n"
        "ld.global.f64 %fd1, [%rd38];\n"
        "{ .reg .u64 %tmp;\n  cvt.u64.u32 \t%tmp, %r1;\n  cvta.shared.u64 \t%rd1, %tmp; }\n"
        "st.f64 [%rd1], %fd1;\n"
        "{ .reg .u64 %tmp;\n  cvt.u64.u32 \t%tmp, %r1;\n  cvta.shared.u64 \t%rd2, %tmp; }\n"
        "ld.f64 %fd2, [%rd2];\n"
        "st.global.f64 [%rd39], %fd2;\nret;\n";
    execute(body, run);
    EXPECT_EQ(run.output[0], run.input[0]);
}

// A hint to the compiler before a vector load, which changes nothing.
TEST(Memory, UsedBytesAreAHint) {
    KernelRun run{.input = {0}, .output = {0, 0}, .parameters = std::vector<std::byte>(8, std::byte{0x91})};
    const std::string body = prologue(Storage::parameter, "", 16) +
                             ".pragma \"used_bytes_mask 15\";\n"
                             "ld.param.v2.u32 {%r1, %r2}, [%rd20];\n" +
                             store_register(Kind::b32, 1, "%rd39", 0) +
                             store_register(Kind::b32, 2, "%rd39", 8) + "ret;\n";
    execute(body, run);
    EXPECT_EQ(run.output, (std::vector<std::uint64_t>{0x91919191, 0x91919191}));
}

// A load from beyond the parameters has no defined value.
TEST(Memory, ParametersBeyondTheEndAreFound) {
    struct Load {
        const char* statement;
        bool inside;
    };
    for (const Load& load : {Load{"ld.param.u64 %rd1, [tested_param_0+16]", true},
                             Load{"ld.param.u64 %rd1, [tested_param_0+24]", false},
                             Load{"ld.param.u32 %r1, [tested_param_0+20]", true},
                             Load{"ld.param.u32 %r1, [tested_param_0+24]", false},
                             Load{"ld.param.u8 %rs1, [tested_param_0+23]", true},
                             Load{"ld.param.u8 %rs1, [tested_param_0+24]", false},
                             Load{"ld.param.v2.u32 {%r1, %r2}, [%rd20+16]", true},
                             Load{"ld.param.v2.u32 {%r1, %r2}, [%rd20+24]", false},
                             Load{"ld.param.u64 %rd1, [%rd20+-8]", false}}) {
        KernelRun run{.input = {0}, .output = {0}, .parameters = std::vector<std::byte>(8)};
        const std::string body = prologue(Storage::parameter, "", 0) + load.statement + ";\nret;\n";
        Findings findings;
        execute(body, run, findings);
        EXPECT_EQ(findings.count(Fault::parameter), load.inside ? 0u : 1u) << load.statement;
        EXPECT_EQ(findings.count(), load.inside ? 0u : 1u) << load.statement;
    }
}

}  // namespace espectra::ptx::test
