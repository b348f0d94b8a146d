#pragma once

#include <filesystem>
#include <utility>

namespace espectra {

/// Holds a lock on a folder, so that one process at a time works in it; the lock ends with the process.
/// Throws InputError where another process has it.
class FolderLock {
  public:
    explicit FolderLock(const std::filesystem::path& folder);
    FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    FolderLock& operator=(FolderLock&&) = delete;
    ~FolderLock();

  private:
    int descriptor_;
};

}  // namespace espectra
