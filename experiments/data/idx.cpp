#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/labels.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>

namespace espectra {

namespace {

/// An IDX file (http://yann.lecun.com/exdb/mnist): two zero bytes, a type code, the rank, one big-endian
/// 32-bit extent per axis, then the elements, row-major and big-endian.
struct IdxArray {
    std::vector<Index> extents;
    std::vector<double> values;
};

/// Reads plain and gzip files.
class GzipReader {
  public:
    explicit GzipReader(const std::filesystem::path& path)
        : name_(path.string()), file_(gzopen(path.c_str(), "rb"), gzclose) {
        if (!file_) throw InputError(fmt::format("{}: {}", name_, std::strerror(errno)));
    }

    /// Returns up to `size` bytes, fewer at the end of the file. Memory grows with the bytes that are read,
    /// not with a size that a header claims.
    std::vector<unsigned char> read(std::size_t size) {
        constexpr std::size_t block = std::size_t{1} << 20;
        std::vector<unsigned char> bytes;
        while (bytes.size() < size) {
            const std::size_t begin = bytes.size();
            const std::size_t wanted = std::min(block, size - begin);
            bytes.resize(begin + wanted);
            const int got = gzread(file_.get(), bytes.data() + begin, static_cast<unsigned>(wanted));
            int code = Z_OK;
            gzerror(file_.get(), &code);
            if (code == Z_ERRNO) throw InputError(fmt::format("{}: {}", name_, std::strerror(errno)));
            if (got < 0 || code != Z_OK)  // Z_BUF_ERROR: the compressed stream ends early
                throw InputError(
                    fmt::format("{}: {} gzip file", name_, code == Z_BUF_ERROR ? "truncated" : "damaged"));
            bytes.resize(begin + static_cast<std::size_t>(got));
            if (static_cast<std::size_t>(got) < wanted) break;
        }
        return bytes;
    }

  private:
    std::string name_;
    std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

template <class Unsigned, class Value>
void decode(const std::vector<unsigned char>& bytes, std::vector<double>& values) {
    values.resize(bytes.size() / sizeof(Unsigned));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Unsigned bits = 0;
        for (std::size_t k = 0; k < sizeof(Unsigned); ++k)
            bits = static_cast<Unsigned>((std::uint64_t{bits} << 8) | bytes[i * sizeof(Unsigned) + k]);
        values[i] = static_cast<double>(std::bit_cast<Value>(bits));
    }
}

std::size_t element_size(unsigned char code) {
    switch (code) {
        case 0x08:
        case 0x09:
            return 1;
        case 0x0B:
            return 2;
        case 0x0C:
        case 0x0D:
            return 4;
        case 0x0E:
            return 8;
        default:
            return 0;
    }
}

IdxArray read_idx(const std::filesystem::path& path) {
    require_readable_file(path);
    const std::string name = path.string();
    GzipReader reader(path);
    const auto truncated = [&](std::size_t expected, std::size_t got) {
        return InputError(
            fmt::format("{}: truncated IDX file: expected {} more bytes, got {}", name, expected, got));
    };

    const auto magic = reader.read(4);
    const std::size_t size = magic.size() == 4 ? element_size(magic[2]) : 0;
    if (size == 0 || magic[0] != 0 || magic[1] != 0 || magic[3] == 0)
        throw InputError(fmt::format("{}: not an IDX file (bad magic number)", name));

    const std::size_t rank = magic[3];
    const auto header = reader.read(4 * rank);
    if (header.size() < 4 * rank) throw truncated(4 * rank, header.size());
    IdxArray array;
    std::size_t bytes_expected = size;
    for (std::size_t axis = 0; axis < rank; ++axis) {
        const unsigned char* const b = header.data() + 4 * axis;
        const std::size_t extent = (std::size_t{b[0]} << 24) | (std::size_t{b[1]} << 16) |
                                   (std::size_t{b[2]} << 8) | std::size_t{b[3]};
        array.extents.push_back(static_cast<Index>(extent));
        if (__builtin_mul_overflow(bytes_expected, extent, &bytes_expected) || bytes_expected >> 62 != 0)
            throw InputError(fmt::format("{}: damaged IDX file: impossible extents", name));
    }

    const auto bytes = reader.read(bytes_expected);
    if (bytes.size() < bytes_expected) throw truncated(bytes_expected, bytes.size());
    if (!reader.read(1).empty())
        throw InputError(
            fmt::format("{}: more data than the {} bytes that its header announces", name, bytes_expected));
    switch (magic[2]) {
        case 0x08:
            decode<std::uint8_t, std::uint8_t>(bytes, array.values);
            break;
        case 0x09:
            decode<std::uint8_t, std::int8_t>(bytes, array.values);
            break;
        case 0x0B:
            decode<std::uint16_t, std::int16_t>(bytes, array.values);
            break;
        case 0x0C:
            decode<std::uint32_t, std::int32_t>(bytes, array.values);
            break;
        case 0x0D:
            decode<std::uint32_t, float>(bytes, array.values);
            break;
        default:
            decode<std::uint64_t, double>(bytes, array.values);
    }
    return array;
}

/// Returns the path of the labels next to the images: "images" → "labels", "idx<rank>" → "idx1" in the file's
/// name, with or without .gz, with '-' or '.' before "idx".
std::filesystem::path labels_path(const std::filesystem::path& images) {
    std::string name = images.filename().string();
    const auto word = name.rfind("images");
    if (word == std::string::npos)
        throw InputError(
            fmt::format("{}: unknown kind of data file: expected .csv, .h5, .hdf5, .mat or IDX images "
                        "(…images-idx3-ubyte)",
                        images.string()));
    name.replace(word, 6, "labels");
    if (const auto rank = name.rfind("idx"); rank != std::string::npos) {
        const auto end = std::min(name.find_first_not_of("0123456789", rank + 3), name.size());
        if (end > rank + 3) name = name.substr(0, rank + 3) + "1" + name.substr(end);
    }
    const std::string plain = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name;
    const auto other_separator = [](std::string text) {
        const auto at = text.rfind("idx1");
        if (at != std::string::npos && at > 0) text[at - 1] = text[at - 1] == '-' ? '.' : '-';
        return text;
    };
    for (const auto& candidate :
         {name, plain, plain + ".gz", other_separator(plain), other_separator(plain) + ".gz"})
        if (std::filesystem::exists(images.parent_path() / candidate))
            return images.parent_path() / candidate;
    return images.parent_path() / name;
}

}  // namespace

RawData load_idx(const std::filesystem::path& path) {
    require_readable_file(path);
    const std::filesystem::path labels_file = labels_path(path);
    require_readable_file(labels_file);
    IdxArray images = read_idx(path);
    const IdxArray labels = read_idx(labels_file);
    if (images.extents.size() < 2)
        throw InputError(fmt::format("{}: expected images (examples first, rank 2 or more), got rank {}",
                                     path.string(), images.extents.size()));
    if (labels.extents.size() != 1)
        throw InputError(fmt::format("{}: expected labels (rank 1), got rank {}", labels_file.string(),
                                     labels.extents.size()));

    RawData raw;
    raw.source = path.string();
    raw.examples = images.extents[0];
    if (images.values.empty()) throw InputError(fmt::format("{}: no examples", path.string()));
    if (labels.extents[0] != raw.examples)
        throw InputError(fmt::format("{}: expected {} labels, one per image, got {}", labels_file.string(),
                                     raw.examples, labels.extents[0]));
    raw.feature_count = static_cast<Index>(images.values.size()) / raw.examples;
    raw.features = std::move(images.values);
    const auto place = [](const std::filesystem::path& file) {
        return [name = file.string()](Index row, Index column) {
            return column < 0 ? fmt::format("{}: [{}]", name, row)
                              : fmt::format("{}: [{}], number {}", name, row, column);
        };
    };
    require_finite(raw.features, raw.feature_count, place(path));
    set_labels(raw, labels.values, place(labels_file));
    return raw;
}

}  // namespace espectra
