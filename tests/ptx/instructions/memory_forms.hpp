#pragma once

#include "ptx/instructions/form_test.hpp"
#include <string>
#include <vector>

namespace espectra::ptx::test {

enum class Storage { generic, generic_shared, global, shared, parameter };

/// A load or a store of `count` elements of `bytes` bytes each, from or to registers of a kind.
struct MemoryForm {
    std::string form;  ///< opcode with all modifiers
    Storage storage;
    Kind kind;
    int bytes, count;
    bool sign_extended = false;
};

/// Prints the form in messages of GoogleTest.
inline void PrintTo(const MemoryForm& test, std::ostream* out) { *out << test.form; }

std::vector<MemoryForm> load_forms();
std::vector<MemoryForm> store_forms();

/// Ways to write an address: a register or a symbol, alone or with an offset.
enum class Address { reg, reg_plus, reg_minus, symbol, symbol_plus };

std::vector<Address> addresses_of(const MemoryForm& test);

/// Returns the statement, without its semicolon, that loads or stores at byte `offset` of the array of its
/// storage. Registers 1, 2, … of the kind are loaded or stored; register 20 of 64 or 32 bits holds the
/// address.
std::string statement_of(const MemoryForm& test, Address address, int offset);

constexpr int array_bytes = 64, array_words = array_bytes / 8;  ///< of the array that is loaded or stored to

/// Returns statements that put the addresses of input and output into %rd38 and %rd39, and that of the array,
/// moved by `shift` bytes, into register 20. `global_array` is one of these two registers: the array; shared
/// memory has a copy of it. The parameters are an array themselves.
std::string prologue(Storage storage, const std::string& global_array, int shift);

/// Returns the forms of the statements of all loads and stores under test, as of shape_of().
std::vector<std::string> memory_shapes();

}  // namespace espectra::ptx::test
