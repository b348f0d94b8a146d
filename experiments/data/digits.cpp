#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/gzip.hpp"

#include <cstddef>
#include <string_view>

namespace espectra {

// data/digits.csv.gz, compiled in by cmake/EmbedFile.cmake.
extern const unsigned char embedded_digits_csv_gz[];
extern const std::size_t embedded_digits_csv_gz_size;

RawData load_digits() {
    const std::string_view packed(reinterpret_cast<const char*>(embedded_digits_csv_gz),
                                  embedded_digits_csv_gz_size);
    return parse_text(gunzip(packed, "digits"), "digits", {.header = Header::absent});
}

}  // namespace espectra
