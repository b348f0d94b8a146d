#include "ptx/execution/handlers.hpp"
#include "ptx/execution/lane_loops.hpp"
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace espectra::ptx {

namespace {

/// The accesses of the active threads: entry i of a list belongs to lane strip.list[i].
struct AccessList {
    alignas(64) std::uint64_t addresses[lanes];
    int count = 0;
};

const Instruction& instruction_of(const Strip& strip, const Step& step) {
    return strip.launch->program.instruction(step.instruction);
}

/// Fills in the addresses of the active threads, with the offset of the instruction. Their row has elements
/// A; addresses of 32 bits wrap around.
template <class A>
void list_addresses(Strip& strip, const Step& step, AccessList& accesses) {
    const auto offset = static_cast<A>(instruction_of(strip, step).offset);
    const A* row = strip.row<const A>(step.operands[0]);
    accesses.count = strip.list_active();
    if (accesses.count == lanes) {
        for_all_lanes([&](int lane) { accesses.addresses[lane] = static_cast<A>(row[lane] + offset); });
    } else {
        for (int i = 0; i < accesses.count; ++i)
            accesses.addresses[i] = static_cast<A>(row[strip.list[static_cast<std::size_t>(i)]] + offset);
    }
}

/// Locates accesses to parameters in host memory. Those beyond the parameters are findings.
Located locate_parameters(Strip& strip, const Step& step, const AccessList& accesses, std::size_t bytes,
                          std::byte** each) {
    const std::span<const std::byte> parameters = strip.launch->parameters;
    for (int i = 0; i < accesses.count; ++i) {
        const std::uint64_t address = accesses.addresses[i];
        const bool inside = address <= parameters.size() && bytes <= parameters.size() - address;
        // Parameters are only read.
        each[i] = inside ? const_cast<std::byte*>(parameters.data()) + address : nullptr;
        if (!inside || address % bytes != 0)
            strip.report(inside ? Fault::misaligned : Fault::parameter, step.instruction,
                         strip.list[static_cast<std::size_t>(i)], address,
                         std::to_string(bytes) + " bytes at byte " + std::to_string(address) + " of " +
                             std::to_string(parameters.size()) + " bytes of parameters.");
    }
    return {.pattern = Located::Pattern::scattered, .each = each};
}

/// Calls f(lane, address of its access, or null) for the active lanes.
template <class F>
void for_located(const Strip& strip, const Located& located, int count, int bytes, const F& f) {
    switch (located.pattern) {
        case Located::Pattern::same:
            for (int i = 0; i < count; ++i) f(strip.list[static_cast<std::size_t>(i)], located.first);
            break;
        case Located::Pattern::contiguous:
            for (int i = 0; i < count; ++i)
                f(strip.list[static_cast<std::size_t>(i)], located.first + i * bytes);
            break;
        case Located::Pattern::scattered:
            for (int i = 0; i < count; ++i) f(strip.list[static_cast<std::size_t>(i)], located.each[i]);
            break;
    }
}

/// ld and st of vectors of `elements` values V, by registers whose rows have elements R, at addresses A.
template <class R, class V, int elements, class A>
struct MemoryAccess {
    static constexpr int bytes = elements * static_cast<int>(sizeof(V));

    static Access access_of(const Strip& strip, const Step& step, const AccessList& accesses) {
        const auto count = static_cast<std::size_t>(accesses.count);
        return {.space = instruction_of(strip, step).space,
                .bytes = bytes,
                .instruction = step.instruction,
                .addresses = {accesses.addresses, count},
                .threads = {strip.threads.data(), count}};
    }

    static void load(Strip& strip, const Step& step) {
        if (strip.active == 0) return;
        AccessList accesses;
        list_addresses<A>(strip, step, accesses);
        std::byte* each[lanes];
        const Located located = instruction_of(strip, step).space == Space::parameter
                                    ? locate_parameters(strip, step, accesses, bytes, each)
                                    : strip.launch->memory.read(access_of(strip, step, accesses));
        for (int element = 0; element < elements; ++element) {
            R* row = strip.row<R>(step.results[static_cast<std::size_t>(element)]);
            const std::size_t offset = static_cast<std::size_t>(element) * sizeof(V);
            if (located.pattern == Located::Pattern::contiguous && accesses.count == lanes && elements == 1) {
                for_all_lanes([&](int lane) { row[lane] = value_at(located.first + lane * bytes); });
            } else if (located.pattern == Located::Pattern::same && accesses.count == lanes) {
                const R value = value_at(located.first + offset);
                for_all_lanes([&](int lane) { row[lane] = value; });
            } else {
                for_located(strip, located, accesses.count, bytes, [&](int lane, const std::byte* address) {
                    row[lane] =
                        address == nullptr ? static_cast<R>(marked_value) : value_at(address + offset);
                });
            }
        }
    }

    static void store(Strip& strip, const Step& step) {
        if (strip.active == 0) return;
        AccessList accesses;
        list_addresses<A>(strip, step, accesses);
        const Located located = strip.launch->memory.write(access_of(strip, step, accesses));
        for (int element = 0; element < elements; ++element) {
            const R* row = strip.row<const R>(step.operands[static_cast<std::size_t>(element) + 1]);
            const std::size_t offset = static_cast<std::size_t>(element) * sizeof(V);
            if (located.pattern == Located::Pattern::contiguous && accesses.count == lanes && elements == 1) {
                for_all_lanes([&](int lane) { put_value(located.first + lane * bytes, row[lane]); });
            } else {
                for_located(strip, located, accesses.count, bytes, [&](int lane, std::byte* address) {
                    if (address != nullptr) put_value(address + offset, row[lane]);
                });
            }
        }
    }

  private:
    static R value_at(const std::byte* address) {
        V value;
        std::memcpy(&value, address, sizeof(V));
        return static_cast<R>(value);
    }
    static void put_value(std::byte* address, R element) {
        const V value = static_cast<V>(element);
        std::memcpy(address, &value, sizeof(V));
    }
};

template <class R, class V, int elements, class A>
Handlers access_handlers(bool load) {
    if constexpr (sizeof(R) < sizeof(V)) {
        return {};  // refused by the decoder
    } else {
        using M = MemoryAccess<R, V, elements, A>;
        return always(load ? &M::load : &M::store);
    }
}

/// Calls f.operator()<V>() for a value of this type in memory; doubles are moved as bits.
template <class F>
Handlers with_value_type(const Instruction& instruction, const F& f) {
    switch (instruction.type) {
        case Type::u8:
            return f.template operator()<std::uint8_t>();
        case Type::s32:
            return f.template operator()<std::int32_t>();
        case Type::u32:
            return f.template operator()<std::uint32_t>();
        case Type::u64:
        case Type::f64:
            return f.template operator()<std::uint64_t>();
        default:
            fail_without_handler(instruction);
    }
}

}  // namespace

Handlers memory_handlers(const Program& program, const Instruction& instruction) {
    const bool load = instruction.operation == Operation::ld;
    const auto bits = [&](int index) { return program.register_at(index).bits; };
    const int address_bits = bits(instruction.operands[0]);
    const int value_bits = bits(load ? instruction.results[0] : instruction.operands[1]);
    const int elements = load ? instruction.written_count : instruction.read_count - 1;
    return with_value_type(instruction, [&]<class V>() {
        return with_row_type(value_bits, [&]<class R>() {
            return with_row_type(address_bits, [&]<class A>() -> Handlers {
                if constexpr (sizeof(A) >= 4) {
                    if (elements == 1) return access_handlers<R, V, 1, A>(load);
                    if constexpr (sizeof(V) >= 4) {
                        if (elements == 2) return access_handlers<R, V, 2, A>(load);
                        if (elements == 4) return access_handlers<R, V, 4, A>(load);
                    }
                }
                fail_without_handler(instruction);
            });
        });
    });
}

}  // namespace espectra::ptx
