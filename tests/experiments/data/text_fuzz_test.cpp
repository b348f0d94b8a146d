// Mutated tables of text: each is read, or refused by one printable line.

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/gzip.hpp"
#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace espectra {
namespace {

using Words = std::vector<std::string>;

/// Tables to begin with, one for each layout.
const Words& seeds() {
    static const Words texts = {
        "0.5,-1.2,0\n1.5,0.3,1\n-0.7,0.9,0\n2.1,-0.4,1\n",
        ",a,b,kind\n0,0.5,-1.2,cat\n1,1.5,0.3,dog\n2,-0.7,0.9,cat\n",
        "\"a\";\"b;\"\"c\"\"\";\"k\nl\"\r\n0,5;-1,2;yes\r\n1,5;0,3;no\r\n",
        "x\ty\tkind\n0.5\t?\t3\n1.5\tNA\t4\n-0.7\t\t3\n2.1\t-0.4\t4\n",
        "# a b kind\n  0.5   -1.2  0\n  1.5    0.3  1\n% end\n",
        "4,2,setosa,versicolor\n5.1,3.5,0\n4.9,3.0,0\n7.0,3.2,1\n6.4,3.2,1\n",
        "sep=;\n1;True;0\n2;false;1\n3;TRUE;0\n",
        "0,1,2,3,4\n1,1,1,1,0\n2,2,2,2,1\n",
        "\"a\" \"b\"\n\"1\" 0.5 0\n\"2\" 1.5 1\n\"3\" 2.5 0\n",
        "\xEF\xBB\xBFgr\xC3\xB6\xC3\x9F"
        "e,b,k\r1,2,0\r3,4,1\r",
        std::string("\xFF\xFE"
                    "1\0,\0"
                    "2\0,\0"
                    "0\0\n\0"
                    "3\0,\0"
                    "4\0,\0"
                    "1\0\n\0",
                    26),
    };
    return texts;
}

/// Makes texts from a seed, the same ones each time.
class Mutator {
  public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    std::string next() {
        std::string text = pick(seeds());
        for (std::size_t count = 1 + below(3); count > 0; --count) mutate(text);
        return text;
    }
    DataOptions options() {
        DataOptions options;
        options.regression = below(3) == 0;
        options.missing = below(3) > 0 ? MissingValues::drop : MissingValues::error;
        if (below(8) == 0) options.header = below(2) == 0 ? Header::present : Header::absent;
        if (below(8) == 0) options.decimal = below(2) == 0 ? DecimalMark::comma : DecimalMark::point;
        const auto column = [&] {
            return below(4) == 0 ? ColumnName("kind") : ColumnName(static_cast<Index>(below(7)) - 3);
        };
        if (below(8) == 0) options.features = {column(), column()};
        if (below(8) == 0) options.labels = {column()};
        if (options.labels.empty() && below(8) == 0) options.targets = {column(), column()};
        return options;
    }

  private:
    std::size_t below(std::size_t limit) { return random_() % limit; }
    const std::string& pick(const Words& list) { return list[below(list.size())]; }

    void mutate(std::string& text) {
        static const Words pieces = {
            ",",    ";",        "\t",  " ",     "\"",           "\"\"",         "\n",   "\r",
            "\r\n", "#",        "%",   "\\",    "\x1b",         "\xE9",         "\xC3", "1e999",
            "nan",  "-",        "0x1", "1,5",   "1.5",          "1,234",        "?",    "NA",
            "true", "\xFF\xFE", "inf", "sep=;", "99999999999",  "\xEF\xBB\xBF", "kind", ".",
            "+",    "''",       "|",   ":",     "\xE2\x80\xAE", "1e-400",       "0"};
        const std::size_t at = below(text.size() + 1),
                          length = below(std::min<std::size_t>(12, text.size() + 1 - at));
        switch (below(6)) {
            case 0:
                text.insert(at, pick(pieces));
                break;
            case 1:
                text.erase(at, length);
                break;
            case 2:
                text.insert(at, text.substr(below(text.size() + 1), below(40)));
                break;
            case 3:
                if (at < text.size()) text[at] = static_cast<char>(below(256));
                break;
            case 4:
                text.replace(at, length, pick(pieces));
                break;
            default:
                text.insert(at, pick(seeds()));
        }
    }

    std::mt19937 random_;
};

bool consistent(const RawData& raw) {
    const auto size = [](const auto& list) { return static_cast<Index>(list.size()); };
    const DataDescription& d = raw.description;
    if (raw.examples < 1 || raw.feature_count < 1 || size(raw.features) != raw.examples * raw.feature_count)
        return false;
    if (!d.feature_names.empty() && size(d.feature_names) != raw.feature_count) return false;
    for (const double value : raw.features)
        if (!std::isfinite(value)) return false;
    if (raw.classes == 0) return size(raw.targets) == raw.examples * raw.target_count && raw.target_count > 0;
    for (const int label : raw.labels)
        if (label < 0 || label >= raw.classes) return false;
    return size(raw.labels) == raw.examples && size(d.class_labels) == raw.classes && raw.classes > 1;
}

/// Number of texts; ESPECTRA_FUZZ_TEXTS sets another one, ESPECTRA_FUZZ_SEED other texts.
std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
    const char* text = std::getenv(name);
    return text ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

TEST(TextFuzz, ReadsOrRefusesByOnePrintableLine) {
    Mutator mutator(from_environment("ESPECTRA_FUZZ_SEED", 1));
    const std::uint32_t count = from_environment("ESPECTRA_FUZZ_TEXTS", 5000);
    std::uint32_t read = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string text = mutator.next();
        const DataOptions options = mutator.options();
        try {
            const RawData raw = parse_text(text, "f.csv", options);
            ++read;
            ASSERT_TRUE(consistent(raw)) << i << ": " << printable(text);
        } catch (const InputError& error) {
            const std::string message = error.what();
            ASSERT_EQ(message.rfind("f.csv:", 0), 0u) << message;
            ASSERT_EQ(message, printable(message)) << i;
            ASSERT_LT(message.size(), 700u) << message;
        }
    }
    // Neither all of them nor none: both ends are reached.
    EXPECT_GT(read, count / 20);
    EXPECT_LT(read, count - count / 20);
}

TEST(TextFuzz, DamagedGzip) {
    std::mt19937 random(1);
    const std::string packed(
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\xd4\x31\xd2\x31\xe0\x32\xd6\x31\xd1\x31\xe4\x02\x00\x4d"
        "\x07\xe8\xbf"
        "\x0c\x00\x00\x00",
        32);
    ASSERT_EQ(gunzip(packed, "f.gz"), "1,2,0\n3,4,1\n");
    for (int i = 0; i < 5000; ++i) {
        std::string damaged = packed;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        if (i % 2 == 0) damaged.resize(random() % (damaged.size() + 1));
        try {
            gunzip(damaged, "f.gz");
        } catch (const InputError& error) {
            ASSERT_EQ(std::string(error.what()).rfind("f.gz: ", 0), 0u);
        }
    }
}

}  // namespace
}  // namespace espectra
