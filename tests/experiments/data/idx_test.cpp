#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "support/temporary_folder.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::read_bytes;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

/// Returns an IDX file of this type code, extents and elements.
std::string idx(int code, const std::vector<std::uint32_t>& extents, const std::string& elements) {
    std::string bytes = {0, 0, static_cast<char>(code), static_cast<char>(extents.size())};
    for (const std::uint32_t extent : extents)
        for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(extent >> shift);
    return bytes + elements;
}

std::string gzipped(const std::string& bytes, const std::filesystem::path& scratch) {
    const gzFile file = gzopen(scratch.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return read_bytes(scratch);
}

const std::string pixels = {0, 1, 2, 3, static_cast<char>(200), static_cast<char>(255), 6, 7, 8, 9, 10, 11};
const Doubles pixel_values = {0, 1, 2, 3, 200, 255, 6, 7, 8, 9, 10, 11};
const std::string three_labels = {2, 0, 1};

TEST(Idx, NamesAndCompression) {
    const TemporaryFolder folder;
    const std::string images = idx(0x08, {3, 2, 2}, pixels);
    const std::string labels = idx(0x08, {3}, three_labels);
    const auto check = [&](const std::string& images_name, const std::string& labels_name, bool zip_images,
                           bool zip_labels) {
        const TemporaryFolder pair;
        const auto path = pair.write(images_name, zip_images ? gzipped(images, folder / "z") : images);
        pair.write(labels_name, zip_labels ? gzipped(labels, folder / "z") : labels);
        const RawData raw = load_data(path.string(), 0, false);
        EXPECT_EQ(raw.examples, 3);
        EXPECT_EQ(raw.feature_count, 4);
        EXPECT_EQ(raw.features, pixel_values);
        EXPECT_EQ(raw.labels, (Labels{2, 0, 1}));
    };
    check("train-images-idx3-ubyte", "train-labels-idx1-ubyte", false, false);
    check("train-images.idx3-ubyte", "train-labels.idx1-ubyte", false, false);
    check("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", true, true);
    check("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", true, false);
    check("t10k-images-idx3-ubyte", "t10k-labels.idx1-ubyte.gz", false, true);
    check("images.idx", "labels.idx", true, false);
}

TEST(Idx, OtherRanksAndTypes) {
    const TemporaryFolder folder;
    folder.write("a-labels-idx1-ubyte", idx(0x08, {2}, {0, 1}));
    const auto features = [&](const std::string& bytes) {
        return load_idx(folder.write("a-images-idx4-ubyte", bytes));
    };
    EXPECT_EQ(features(idx(0x08, {2, 1, 3, 2}, pixels)).feature_count, 6);
    EXPECT_EQ(features(idx(0x08, {2, 6}, pixels)).feature_count, 6);
    EXPECT_EQ(features(idx(0x09, {2, 1}, {-1, 1})).features, (Doubles{-1, 1}));
    EXPECT_EQ(features(idx(0x0B, {2, 1}, {-1, -2, 1, 2})).features, (Doubles{-2, 258}));
    EXPECT_EQ(features(idx(0x0C, {2, 1}, {-1, -1, -1, -3, 0, 0, 1, 0})).features, (Doubles{-3, 256}));
    const std::string half = {0x3F, 0, 0, 0};
    EXPECT_EQ(features(idx(0x0D, {2, 1}, half + half)).features, (Doubles{0.5, 0.5}));
    const std::string one_half = {0x3F, static_cast<char>(0xF8), 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(features(idx(0x0E, {2, 1}, one_half + one_half)).features, (Doubles{1.5, 1.5}));
    const std::string nan = {0x7F, static_cast<char>(0xF8), 0, 0, 0, 0, 0, 0};
    EXPECT_CONTAINS(input_error([&] {
                        features(idx(0x0E, {2, 1}, one_half + nan));
                    }),
                    "a-images-idx4-ubyte: [1], number 0: nan is not a finite number");
}

TEST(Idx, Errors) {
    const TemporaryFolder folder;
    const std::string images = idx(0x08, {3, 2, 2}, pixels);
    const std::string labels = idx(0x08, {3}, three_labels);
    const auto load = [&](const std::string& images_bytes, const std::string& labels_bytes) {
        folder.write("images-idx3-ubyte", images_bytes);
        folder.write("labels-idx1-ubyte", labels_bytes);
        return input_error([&] { load_idx(folder / "images-idx3-ubyte"); });
    };
    EXPECT_EQ(load(images, labels), "no error");
    EXPECT_CONTAINS(load("abcdefgh", labels), "images-idx3-ubyte: not an IDX file (bad magic number)");
    EXPECT_CONTAINS(load("", labels), "not an IDX file");
    EXPECT_CONTAINS(load(images, "\x01"), "labels-idx1-ubyte: not an IDX file");
    EXPECT_CONTAINS(load(images.substr(0, 10), labels), "truncated IDX file: expected 12 more bytes, got 6");
    EXPECT_CONTAINS(load(images.substr(0, 20), labels), "truncated IDX file: expected 12 more bytes, got 4");
    EXPECT_CONTAINS(load(images + "x", labels), "more data than the 12 bytes");
    EXPECT_CONTAINS(load(images, idx(0x08, {2}, {0, 1})),
                    "labels-idx1-ubyte: expected 3 labels, one per image, got 2");
    EXPECT_CONTAINS(load(images, idx(0x08, {3}, {0, 9, 1})),
                    "labels-idx1-ubyte: [1]: label 9: expected integers");
    EXPECT_CONTAINS(load(idx(0x08, {3}, three_labels), labels),
                    "expected images (examples first, rank 2 or more)");
    EXPECT_CONTAINS(load(images, images), "labels-idx1-ubyte: expected labels (rank 1), got rank 3");
    EXPECT_CONTAINS(load(idx(0x08, {0, 2, 2}, ""), labels), "no examples");
    EXPECT_CONTAINS(load(idx(0x0E, {0xFFFFFFFF, 0xFFFFFFFF, 4}, "x"), labels), "impossible extents");
    EXPECT_CONTAINS(load(idx(0x08, {0xFFFFFFFF, 0xFFFF}, "x"), labels), "truncated IDX file");
    std::string zipped = gzipped(images, folder / "z");
    for (std::size_t length = 12; length < zipped.size(); ++length)
        EXPECT_CONTAINS(load(zipped.substr(0, length), labels), "images-idx3-ubyte: truncated gzip file");
    zipped[zipped.size() - 6] ^= 1;  // in the checksum
    EXPECT_CONTAINS(load(zipped, labels), "images-idx3-ubyte: damaged gzip file");
    std::filesystem::remove(folder / "labels-idx1-ubyte");
    EXPECT_CONTAINS(input_error([&] { load_idx(folder / "images-idx3-ubyte"); }),
                    "labels-idx1-ubyte: no such file");
    EXPECT_CONTAINS(input_error([&] { load_data(folder.write("data.bin", "x").string(), 0, false); }),
                    "data.bin: unknown kind of data file");
}

}  // namespace
}  // namespace espectra
