#include "ptx/instructions/memory_forms.hpp"

#include <fmt/format.h>

#include "ptx/instructions/instruction_shape.hpp"

namespace espectra::ptx::test {

std::vector<MemoryForm> load_forms() {
    return {
        {"ld.f64", Storage::generic, Kind::f64, 8, 1},
        {"ld.f64", Storage::generic_shared, Kind::f64, 8, 1},
        {"ld.global.f64", Storage::global, Kind::f64, 8, 1},
        {"ld.global.u64", Storage::global, Kind::b64, 8, 1},
        {"ld.global.u8", Storage::global, Kind::b16, 1, 1},
        {"ld.global.u8", Storage::global, Kind::b64, 1, 1},
        {"ld.param.u8", Storage::parameter, Kind::b16, 1, 1},
        {"ld.param.u32", Storage::parameter, Kind::b32, 4, 1},
        {"ld.param.s32", Storage::parameter, Kind::b64, 4, 1, true},
        {"ld.param.u64", Storage::parameter, Kind::b64, 8, 1},
        {"ld.param.f64", Storage::parameter, Kind::f64, 8, 1},
        {"ld.param.v2.u32", Storage::parameter, Kind::b32, 4, 2},
        {"ld.shared.u32", Storage::shared, Kind::b32, 4, 1},
        {"ld.shared.s32", Storage::shared, Kind::b64, 4, 1, true},
        {"ld.shared.f64", Storage::shared, Kind::f64, 8, 1},
        {"ld.shared.v2.u32", Storage::shared, Kind::b32, 4, 2},
        {"ld.shared.v4.u32", Storage::shared, Kind::b32, 4, 4},
        {"ld.shared.v2.f64", Storage::shared, Kind::f64, 8, 2},
    };
}

std::vector<MemoryForm> store_forms() {
    return {
        {"st.f64", Storage::generic, Kind::f64, 8, 1},
        {"st.f64", Storage::generic_shared, Kind::f64, 8, 1},
        {"st.global.f64", Storage::global, Kind::f64, 8, 1},
        {"st.global.u64", Storage::global, Kind::b64, 8, 1},
        {"st.global.u8", Storage::global, Kind::b16, 1, 1},
        {"st.shared.u32", Storage::shared, Kind::b32, 4, 1},
        {"st.shared.u64", Storage::shared, Kind::b64, 8, 1},
        {"st.shared.f64", Storage::shared, Kind::f64, 8, 1},
        {"st.shared.v2.u32", Storage::shared, Kind::b32, 4, 2},
        {"st.shared.v2.f64", Storage::shared, Kind::f64, 8, 2},
    };
}

std::vector<Address> addresses_of(const MemoryForm& test) {
    std::vector<Address> addresses = {Address::reg, Address::reg_plus, Address::reg_minus};
    if (test.storage == Storage::shared || test.storage == Storage::parameter) {
        addresses.push_back(Address::symbol);
        addresses.push_back(Address::symbol_plus);
    }
    return addresses;
}

std::string statement_of(const MemoryForm& test, Address address, int offset) {
    const std::string symbol = test.storage == Storage::shared ? "tested_shared" : "tested_param_0";
    const std::string base = test.storage == Storage::shared ? "%r20" : "%rd20";
    std::string where;
    switch (address) {
        case Address::reg:
            where = base;
            break;
        case Address::reg_plus:
        case Address::reg_minus:
            where = fmt::format("{}+{}", base, offset);
            break;
        case Address::symbol:
            where = symbol;
            break;
        case Address::symbol_plus:
            where = fmt::format("{}+{}", symbol, offset);
            break;
    }
    std::string registers;
    for (int i = 1; i <= test.count; ++i) registers += (i == 1 ? "" : ", ") + register_of(test.kind, i);
    if (test.count > 1) registers = "{" + registers + "}";
    return test.form.starts_with("ld") ? fmt::format("{} \t{}, [{}]", test.form, registers, where)
                                       : fmt::format("{} \t[{}], {}", test.form, where, registers);
}

std::string prologue(Storage storage, const std::string& global_array, int shift) {
    std::string text =
        "ld.param.u64 %rd36, [tested_param_0];\ncvta.to.global.u64 %rd38, %rd36;\n"
        "ld.param.u64 %rd37, [tested_param_0+8];\ncvta.to.global.u64 %rd39, %rd37;\n";
    if (storage == Storage::shared || storage == Storage::generic_shared) {
        text += "mov.u32 %r20, tested_shared;\n";
        for (int i = 0; i < array_words; ++i)
            text += fmt::format("ld.global.f64 %fd39, [{0}+{1}];\nst.shared.f64 [%r20+{1}], %fd39;\n",
                                global_array, 8 * i);
        if (storage == Storage::generic_shared)
            text += "cvt.u64.u32 %rd21, %r20;\ncvta.shared.u64 %rd20, %rd21;\n";
    } else if (storage == Storage::parameter) {
        text += "mov.b64 %rd20, tested_param_0;\n";
    } else {
        text += fmt::format("mov.u64 %rd20, {};\n", storage == Storage::generic ? "%rd36" : global_array);
    }
    const bool word = storage == Storage::shared;
    return text + fmt::format("add.s{0} {1}20, {1}20, {2};\n", word ? 32 : 64, word ? "%r" : "%rd", shift);
}

std::vector<std::string> memory_shapes() {
    std::vector<std::string> shapes;
    for (const auto& forms : {load_forms(), store_forms()})
        for (const MemoryForm& test : forms)
            for (const Address address : addresses_of(test))
                shapes.push_back(shape_of(statement_of(test, address, 16)));
    // Moves and conversions of addresses.
    for (const Storage storage : {Storage::generic_shared, Storage::parameter})
        for (const auto& [shape, line] : shapes_in(prologue(storage, "%rd38", 0)))
            if (shape.starts_with("mov.") || shape.starts_with("cvta.")) shapes.push_back(shape);
    return shapes;
}

}  // namespace espectra::ptx::test
