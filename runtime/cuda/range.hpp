#pragma once

namespace espectra {

/// A named NVTX range on the calling thread from construction to destruction, which profilers show on the
/// timeline.
class NvtxRange {
  public:
    explicit NvtxRange(const char* name);
    ~NvtxRange();
    NvtxRange(const NvtxRange&) = delete;
    NvtxRange& operator=(const NvtxRange&) = delete;
};

}  // namespace espectra
