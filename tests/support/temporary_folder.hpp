#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace espectra::test {

/// A new folder, removed with its contents by the destructor.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "espectra-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create " + pattern);
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

    /// Writes `bytes` to a file of this folder and returns its path.
    std::filesystem::path write(const std::string& name, const std::string& bytes) const {
        std::ofstream(path_ / name, std::ios::binary) << bytes;
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

inline std::string read_bytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Drops root's right to read and write everything during its lifetime, so that permissions can be tested as
/// root too.
class WithoutRoot {
  public:
    WithoutRoot() : was_root_(::geteuid() == 0) {
        if (was_root_ && ::seteuid(65534) != 0) throw std::runtime_error("cannot drop root");
    }
    ~WithoutRoot() {
        if (was_root_ && ::seteuid(0) != 0) ::abort();
    }
    WithoutRoot(const WithoutRoot&) = delete;
    WithoutRoot& operator=(const WithoutRoot&) = delete;

  private:
    bool was_root_;
};

/// Returns the message of the E that `call` throws; else "no error" or the message of another exception.
template <class E, class Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    } catch (const std::exception& error) {
        return std::string("another kind of error: ") + error.what();
    }
    return "no error";
}

}  // namespace espectra::test

/// Expects `text` (of an error, for example) to contain `part`.
#define EXPECT_CONTAINS(text, part)                                                              \
    do {                                                                                         \
        const std::string text_ = text;                                                          \
        EXPECT_NE(text_.find(part), std::string::npos) << "\"" << text_ << "\" lacks: " << part; \
    } while (false)
