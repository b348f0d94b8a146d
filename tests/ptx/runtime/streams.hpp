#pragma once

#include <cuda_runtime_api.h>

#include "ptx/checks/findings.hpp"
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

// Streams of the emulated runtime. Work of a stream is queued, and done only when something waits for it, so
// that a missing wait shows. All state of the runtime belongs to one lock, which every call of the interface
// takes.

namespace espectra::ptx {

inline std::recursive_mutex runtime_mutex;
using RuntimeLock = std::lock_guard<std::recursive_mutex>;

/// Keeps an error as the last error of this thread, and returns it.
cudaError_t fail(cudaError_t error);

bool has_device(int device);

using StreamId = std::uint64_t;
/// The number of the last work of each stream that certainly is done before.
using Clock = std::map<StreamId, std::uint64_t>;

/// The place of some work among all work of the device.
struct Order {
    StreamId stream = 0;
    std::uint64_t position = 0;           ///< in its stream, from 1
    std::shared_ptr<const Clock> before;  ///< what is done before, besides earlier work of the stream
};

/// Returns true if work at `earlier` is certainly done before work at `later` begins: it precedes it in its
/// stream, an event or the host has been waited for between them, or its stream has ended.
bool precedes(const Order& earlier, const Order& later);

/// Returns the name of a stream for messages, such as "stream 3".
std::string name_of_stream(StreamId stream);

/// Host memory that work reads or writes when it is done.
struct HostRange {
    const std::byte* begin;
    std::size_t bytes;
};

struct Work {
    std::string call;  ///< its name in findings
    std::function<void(const Order&)> perform;
    std::vector<HostRange> host = {};
};

/// An event as recorded once.
struct EventRecord {
    CUstream_st* stream;  ///< only valid until it is done
    Order order;
    bool done = false;
    std::chrono::steady_clock::time_point time;  ///< when it was done
};

}  // namespace espectra::ptx

/// Work of a graph: what a launch does at once, in the order of the calls, and what it does in the order of
/// the stream.
struct CUgraph_st {
    struct Node {
        std::function<cudaError_t(const espectra::ptx::Order&)> at_launch;  ///< may be empty
        espectra::ptx::Work work;
    };
    /// Memory that a capture has allocated; its addresses end with the last graph that has it.
    struct OwnMemory;

    std::vector<Node> nodes;
    std::shared_ptr<OwnMemory> own_memory;
};

struct CUevent_st {
    bool timed = true;
    std::shared_ptr<espectra::ptx::EventRecord> record;  ///< null: not recorded
    std::weak_ptr<CUgraph_st> captured;                  ///< recorded in this capture
    bool in_capture = false;
};

struct CUstream_st {
    struct Queued {
        espectra::ptx::Work work;
        espectra::ptx::Order order;
        std::shared_ptr<espectra::ptx::EventRecord> awaited;  ///< has to be done before; may be null
    };
    espectra::ptx::StreamId id = 0;
    std::uint64_t given = 0, done = 0;  ///< positions of the last work queued and of the last done
    std::deque<Queued> queue;
    std::shared_ptr<const espectra::ptx::Clock> before = std::make_shared<espectra::ptx::Clock>();
    std::uint64_t host_version = 0;  ///< of the host's clock that `before` includes

    std::shared_ptr<CUgraph_st> capture;  ///< while captured
    std::thread::id capturing_thread;
    bool capture_broken = false;
};

namespace espectra::ptx {

/// Queues work, or records it if the stream is captured. `at_launch` is done at once, or at each launch of
/// the graph.
cudaError_t enqueue(cudaStream_t stream, Work work,
                    const std::function<cudaError_t(const Order&)>& at_launch = {});

/// Returns the stream behind a handle, the legacy default stream for null; or null if there is no such
/// stream.
CUstream_st* find_stream(cudaStream_t handle);

/// Does all work of a stream, with what it depends on: the host waits for it.
void wait_for(CUstream_st& stream);
void wait_for_all_streams();

/// Returns true if the stream is captured: the call, which no graph can hold, has ended the capture.
bool breaks_capture_of(CUstream_st& stream);
/// The same for all streams that this thread captures.
bool breaks_capture_of_this_thread();
/// The same for all streams.
bool breaks_any_capture();

/// Returns true if the queues hold work that reads or writes one of these bytes of the host.
bool is_queued(const HostRange& range);

/// Returns the order that the work of the next enqueue() on the stream would have.
Order next_order(CUstream_st& stream);
/// Returns true if the work has been done.
bool is_done(const Order& order);

}  // namespace espectra::ptx
