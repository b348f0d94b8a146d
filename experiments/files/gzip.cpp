#include "espectra/experiments/files/gzip.hpp"

#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

namespace espectra {

namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b";

/// A zlib stream over bytes in memory.
class Inflater {
  public:
    explicit Inflater(std::string_view bytes) : rest_(bytes) {
        constexpr int window_bits_gzip = 15 + 16;
        if (inflateInit2(&stream_, window_bits_gzip) != Z_OK) throw ResourceError("zlib: cannot start");
    }
    ~Inflater() { inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// Appends the content of one member to `text` and returns zlib's status.
    int member(std::string& text) {
        inflateReset(&stream_);
        int status = Z_OK;
        while (status == Z_OK) {
            const auto taken =
                static_cast<uInt>(std::min<std::size_t>(rest_.size(), std::numeric_limits<uInt>::max()));
            stream_.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(rest_.data()));  // only read
            stream_.avail_in = taken;
            stream_.next_out = block_;
            stream_.avail_out = sizeof(block_);
            status = inflate(&stream_, Z_NO_FLUSH);
            rest_.remove_prefix(taken - stream_.avail_in);
            text.append(reinterpret_cast<const char*>(block_), sizeof(block_) - stream_.avail_out);
        }
        return status;
    }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
    z_stream stream_ = {};
    unsigned char block_[1 << 16];
};

}  // namespace

std::string gunzip(std::string_view bytes, const std::string& name) {
    Inflater inflater(bytes);
    std::string text;
    do {
        const int status = inflater.member(text);
        if (status == Z_MEM_ERROR) throw ResourceError(fmt::format("{}: no memory to decompress it", name));
        if (status != Z_STREAM_END)  // Z_BUF_ERROR: the stream ends early
            throw InputError(
                fmt::format("{}: {} gzip file", name, status == Z_BUF_ERROR ? "truncated" : "damaged"));
    } while (inflater.rest().starts_with(gzip_magic));
    // Tapes and disks fill their last block with zeros.
    if (inflater.rest().find_first_not_of('\0') != std::string_view::npos)
        throw InputError(fmt::format("{}: damaged gzip file: other data after its end", name));
    return text;
}

std::string read_plain_or_gzip(const std::filesystem::path& path) {
    require_readable_file(path);
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error))
        throw InputError(fmt::format("{}: expected a file, got a pipe or device", path.string()));
    std::ifstream file(path, std::ios::binary);
    std::string bytes;
    const auto size = std::filesystem::file_size(path, error);
    if (!error) bytes.reserve(size + 1);
    char block[1 << 16];
    do {
        file.read(block, sizeof(block));
        bytes.append(block, static_cast<std::size_t>(file.gcount()));
    } while (file);
    if (!file.eof()) throw InputError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
    return bytes.starts_with(gzip_magic) ? gunzip(bytes, path.string()) : bytes;
}

}  // namespace espectra
