#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <zlib.h>

#include <cstddef>
#include <string>

namespace espectra {

// data/digits.csv.gz, compiled in by cmake/EmbedFile.cmake.
extern const unsigned char embedded_digits_csv_gz[];
extern const std::size_t embedded_digits_csv_gz_size;

namespace {

std::string gunzip(const unsigned char* data, std::size_t size) {
    z_stream stream = {};
    constexpr int window_bits_gzip = 15 + 16;
    if (inflateInit2(&stream, window_bits_gzip) != Z_OK) throw ResourceError("zlib: cannot start");
    stream.next_in = const_cast<unsigned char*>(data);  // zlib only reads it
    stream.avail_in = static_cast<uInt>(size);
    std::string text;
    unsigned char block[1 << 15];
    int status = Z_OK;
    while (status == Z_OK) {
        stream.next_out = block;
        stream.avail_out = sizeof(block);
        status = inflate(&stream, Z_NO_FLUSH);
        text.append(reinterpret_cast<const char*>(block), sizeof(block) - stream.avail_out);
    }
    inflateEnd(&stream);
    if (status != Z_STREAM_END) throw InputError("digits: the built-in copy is damaged");
    return text;
}

}  // namespace

RawData load_digits() {
    return parse_csv(gunzip(embedded_digits_csv_gz, embedded_digits_csv_gz_size), "digits", false);
}

}  // namespace espectra
