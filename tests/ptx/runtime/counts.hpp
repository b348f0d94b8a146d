#pragma once

namespace espectra::test {

/// Resources of the stand-in for the CUDA runtime that have not been released, and launches of graphs so far.
struct CudaCounts {
    int streams = 0, events = 0, pools = 0, pinned = 0, graphs = 0, memory = 0;
    long launches = 0;
};
CudaCounts cuda_counts();

}  // namespace espectra::test
