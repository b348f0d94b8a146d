#include "ptx/program/forms.hpp"

#include "ptx/program/program.hpp"
#include <sstream>
#include <utility>

namespace espectra::ptx {

namespace {

const std::map<std::string, Type> type_names = {
    {"pred", Type::pred}, {"u8", Type::u8},   {"u16", Type::u16}, {"s16", Type::s16},
    {"b16", Type::b16},   {"u32", Type::u32}, {"s32", Type::s32}, {"b32", Type::b32},
    {"u64", Type::u64},   {"s64", Type::s64}, {"b64", Type::b64}, {"f64", Type::f64},
};

/// An opcode up to its type, and the types with which it occurs.
struct Family {
    Operation operation;
    const char* opcode;
    const char* types;
};

constexpr Family families[] = {
    {Operation::mov, "mov", "pred b16 u16 b32 u32 b64 u64 f64"},
    {Operation::add, "add", "s16 s32 s64"},
    {Operation::add, "add.rn", "f64"},
    {Operation::sub, "sub", "s16 s32 s64"},
    {Operation::sub, "sub.rn", "f64"},
    {Operation::mul, "mul.lo", "s32 s64"},
    {Operation::mul, "mul.rn", "f64"},
    {Operation::mul_wide, "mul.wide", "s32 u32"},
    {Operation::mad, "mad.lo", "s32 s64"},
    {Operation::fma, "fma.rn", "f64"},
    {Operation::div, "div", "s32 u32 s64"},
    {Operation::div, "div.rn", "f64"},
    {Operation::rcp, "rcp.rn", "f64"},
    {Operation::sqrt, "sqrt.rn", "f64"},
    {Operation::copysign, "copysign", "f64"},
    {Operation::min, "min", "s32 u32 s64 f64"},
    {Operation::max, "max", "s32 u32 s64 u64 f64"},
    {Operation::neg, "neg", "s32 s64 f64"},
    {Operation::abs, "abs", "s32 f64"},
    {Operation::not_, "not", "pred b16 b32 b64"},
    {Operation::and_, "and", "pred b16 b32 b64"},
    {Operation::or_, "or", "pred b32 b64"},
    {Operation::xor_, "xor", "pred b16 b32 b64"},
    {Operation::shl, "shl", "b32 b64"},
    {Operation::shr, "shr", "s32 u32 s64 u64"},
    {Operation::selp, "selp", "b16 u16 b32 u32 b64 u64 f64"},
};

constexpr std::pair<const char*, Comparison> comparisons[] = {
    {"eq", Comparison::eq},   {"ne", Comparison::ne},   {"lt", Comparison::lt},   {"le", Comparison::le},
    {"gt", Comparison::gt},   {"ge", Comparison::ge},   {"equ", Comparison::equ}, {"neu", Comparison::neu},
    {"ltu", Comparison::ltu}, {"leu", Comparison::leu}, {"gtu", Comparison::gtu}, {"geu", Comparison::geu},
    {"num", Comparison::num}, {"nan", Comparison::nan},
};

/// Returns the types that setp compares with this comparison: integers have the first six, bits equality
/// alone.
const char* compared_types(Comparison comparison) {
    if (comparison <= Comparison::ne) return "b16 b32 b64 s16 s32 u32 s64 u64 f64";
    if (comparison <= Comparison::ge) return "s16 s32 u32 s64 u64 f64";
    return "f64";
}

/// A conversion from `source` to `type`. "rn" and "rzi" round to the nearest number and towards zero.
struct Conversion {
    const char* form;
    Type type, source;
};

constexpr Conversion conversions[] = {
    {"cvt.s64.s32", Type::s64, Type::s32},     {"cvt.u16.u32", Type::u16, Type::u32},
    {"cvt.u32.u16", Type::u32, Type::u16},     {"cvt.u32.u64", Type::u32, Type::u64},
    {"cvt.u64.u32", Type::u64, Type::u32},     {"cvt.rn.f64.s32", Type::f64, Type::s32},
    {"cvt.rn.f64.u32", Type::f64, Type::u32},  {"cvt.rn.f64.s64", Type::f64, Type::s64},
    {"cvt.rn.f64.u64", Type::f64, Type::u64},  {"cvt.rzi.s32.f64", Type::s32, Type::f64},
    {"cvt.rzi.s64.f64", Type::s64, Type::f64}, {"cvt.u64.u16", Type::u64, Type::u16},
};

/// Loads or stores: an opcode up to its type, and the types with which it occurs.
struct MemoryFamily {
    Operation operation;
    const char* opcode;
    Space space;
    int elements;
    const char* types;
};

constexpr MemoryFamily memory_families[] = {
    {Operation::ld, "ld", Space::generic, 1, "f64"},
    {Operation::ld, "ld.global", Space::global, 1, "u8 u64 f64"},
    {Operation::ld, "ld.param", Space::parameter, 1, "u8 s32 u32 u64 f64"},
    {Operation::ld, "ld.param.v2", Space::parameter, 2, "u32"},
    {Operation::ld, "ld.shared", Space::shared, 1, "s32 u32 f64"},
    {Operation::ld, "ld.shared.v2", Space::shared, 2, "u32 f64"},
    {Operation::ld, "ld.shared.v4", Space::shared, 4, "u32"},
    {Operation::st, "st", Space::generic, 1, "f64"},
    {Operation::st, "st.global", Space::global, 1, "u8 u64 f64"},
    {Operation::st, "st.shared", Space::shared, 1, "u32 u64 f64"},
    {Operation::st, "st.shared.v2", Space::shared, 2, "u32 f64"},
};

/// Calls use(name, type) for each name of a list.
template <class Use>
void for_each_type(const char* names, const Use& use) {
    std::istringstream list(names);
    for (std::string name; list >> name;) use(name, type_names.at(name));
}

std::map<std::string, Form> make_forms() {
    std::map<std::string, Form> forms;
    for (const Family& family : families)
        for_each_type(family.types, [&](const std::string& name, Type type) {
            forms[std::string(family.opcode) + "." + name] = {.operation = family.operation, .type = type};
        });
    for (const auto& [comparison_name, comparison] : comparisons)
        for_each_type(compared_types(comparison), [&](const std::string& name, Type type) {
            forms["setp." + std::string(comparison_name) + "." + name] = {
                .operation = Operation::setp, .type = type, .comparison = comparison};
        });
    for (const MemoryFamily& family : memory_families)
        for_each_type(family.types, [&](const std::string& name, Type type) {
            forms[std::string(family.opcode) + "." + name] = {.operation = family.operation,
                                                              .type = type,
                                                              .space = family.space,
                                                              .elements = family.elements};
        });
    for (const Conversion& conversion : conversions)
        forms[conversion.form] = {
            .operation = Operation::cvt, .type = conversion.type, .source = conversion.source};
    forms["cvta.to.global.u64"] = {.operation = Operation::cvta, .type = Type::u64, .space = Space::global};
    forms["cvta.shared.u64"] = {.operation = Operation::cvta, .type = Type::u64, .space = Space::shared};
    forms["mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64"] = {.operation = Operation::mma_m16n8k4,
                                                                 .type = Type::f64};
    forms["mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64"] = {.operation = Operation::mma_m8n8k4,
                                                                .type = Type::f64};
    forms["bra"] = forms["bra.uni"] = {.operation = Operation::bra};
    forms["bar.sync"] = {.operation = Operation::bar_sync};
    forms["ret"] = {.operation = Operation::ret};
    return forms;
}

}  // namespace

const std::map<std::string, Form>& forms() {
    static const std::map<std::string, Form> all = make_forms();
    return all;
}

std::vector<std::string> known_forms() {
    std::vector<std::string> names;
    for (const auto& [name, form] : forms()) names.push_back(name);
    return names;
}

}  // namespace espectra::ptx
