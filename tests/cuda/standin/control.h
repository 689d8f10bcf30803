// How a test steers and questions the stand-in for CUDA's runtime, cuBLASLt and cuDNN, which runs
// the host code of the CUDA backend on a machine without a GPU.
//
// It is stricter than a GPU, so that wrong host code fails:
// - A stream is a queue that runs only when something waits for it: a synchronise call, a copy that
//   is synchronous, a free; a query runs one entry. Streams run in the most awkward order that the
//   events allow (Settings::order).
// - A copy from or to pinned memory touches it when it runs; so does cudaMemcpyAsync from pageable
//   memory, of which CUDA says no more than that it "might be synchronous". cudaMemcpy from there
//   takes its bytes at once, but is on the device no earlier than the legacy stream has run: a
//   non-blocking stream does not wait for it, as CUDA documents.
// - Device memory starts as 0xff (NaN), as does what was freed; it has guards that are checked
//   after every operation; the host cannot touch it (SIGSEGV) unless queued work is running. A read
//   (or write) outside of the allocations ends the process: with AddressSanitizer of any byte, else
//   of one that reaches a guard page (Settings::guard_pages), which some allocations begin at,
//   others end at.
// - Handles are no addresses and are never used twice.
// - While a capture goes on, calls that could not be part of it fail and end it.
//
// A failing kernel gives cudaErrorLaunchFailure, sticky; LastKernelError() has the emulation's
// words. What CUDA would let pass or leave undefined is kept for TakeProblems().
//
// Ownership: one device state per image that the library is linked into; another process or a
// module is configured by the environment variable CLIPTAG_STANDIN, in ParseSettings()' syntax, or
// by cliptag_standin_configure() found by dlsym.
//
// Threads: any, as with CUDA; one operation runs at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cliptag::standin {

// In which order streams take their turns. Any other number seeds an order at random.
inline constexpr uint32_t kLatest = 0;       // each stream as late as whoever waits allows
inline constexpr uint32_t kOthersFirst = 1;  // all other streams run ahead as far as they can

// The nth call (1: the next) of a function, by its name, returns `error` (a cudaError_t,
// cublasStatus_t or cudnnStatus_t) and does nothing. Kernel launches count as "cudaLaunchKernel".
struct CallFailure {
  std::string function;
  int nth = 1;
  int error = 0;
};

struct Settings {
  int devices = 1;
  int major = 9, minor = 0;  // compute capability
  std::string name = "Stand-in GPU";
  int multiprocessors = 132;
  size_t memory_bytes = size_t{8} << 30;
  int driver_version = 13000;  // 0: no driver
  uint32_t order = kLatest;
  uint32_t kernel_order = 0;  // of blocks and threads, as emulation::LaunchConfig has it
  bool protect = true;        // device memory against the host
  bool guard_pages = true;    // around allocations; false: poison, which shows writes alone
  // After so many executed operations the device is lost: everything fails with `lost_error`.
  uint64_t lose_after = UINT64_MAX;
  cudaError_t lost_error = cudaErrorLaunchFailure;
  std::vector<CallFailure> failures;
  // What cuBLASLt proposes for a product, best first as it thinks: how long each takes on the
  // clock that events tell, on which any other operation takes 1 us. 0: proposed, but the product
  // is refused when it is started.
  std::vector<uint32_t> algorithm_us = {120, 100, 200};
};

// "devices=0", "memory_mb=64,driver=11000,capability=7.5,name=X,order=1,kernel_order=1,sms=8,
// protect=0,guard_pages=0,lose_after=10,lost_error=46,algorithm_us=50:30,fail=cudaMalloc:3:2" (the
// third call returns 2; `fail` may be repeated). False, and `error` says why, if it cannot be read.
bool ParseSettings(std::string_view text, Settings& settings, std::string& error);

// Back to the beginning, with these settings: queues are dropped, memory is taken back, errors,
// counters and failures to come are forgotten. Handles from before are invalid. Returns what was
// found on the way: leaks and memory that was written to after it was freed.
std::vector<std::string> Reset(const Settings& settings = {});

// May be called at any time.
void SetOrder(uint32_t order);
void LoseDeviceAfter(uint64_t operations, cudaError_t error = cudaErrorLaunchFailure);

// As CallFailure, counted from now on.
void FailCall(std::string function, int nth, int error);
uint64_t CallsOf(const std::string& function);

struct Counters {
  uint64_t operations = 0;  // executed, the nodes of graphs each
  // Of products: where depth or a row of an operand is no multiple of 16 bytes, which costs tensor
  // cores their speed.
  uint64_t unaligned_products = 0;
  uint64_t nan_products = 0;  // with NaN among the results
  uint64_t kernels = 0, products = 0, convolutions = 0, poolings = 0;
  uint64_t copies_to_device = 0, copies_to_host = 0, copies_on_device = 0;
  uint64_t bytes_to_device = 0, bytes_to_host = 0, bytes_on_device = 0;
  uint64_t graphs_captured = 0, graphs_launched = 0;
  uint64_t allocations = 0;                     // of device memory, in all
  std::vector<uint64_t> products_of_algorithm;  // by its number in Settings::algorithm_us
};
Counters GetCounters();

struct LiveObjects {
  size_t allocations = 0, pinned = 0, streams = 0, events = 0, graphs = 0, graph_execs = 0;
  size_t library_objects = 0;  // handles and descriptors of cuBLASLt and cuDNN
  size_t device_bytes = 0, pinned_bytes = 0;
  size_t Total() const {
    return allocations + pinned + streams + events + graphs + graph_execs + library_objects;
  }
};
LiveObjects GetLiveObjects();

// Work that is still queued.
size_t PendingOperations();

// The first failure that made the device's error sticky, in words; empty when there is none.
std::string LastKernelError();

// Misuse since the last call, a sentence each: invalid handles, double frees, copies out of bounds.
std::vector<std::string> TakeProblems();

}  // namespace cliptag::standin

// Reset() with parsed settings, for dlsym: 0, or -1 if the text cannot be read.
extern "C" __attribute__((visibility("default"))) int cliptag_standin_configure(const char* text);
// A field of Counters or LiveObjects by its name, or "calls:FUNCTION"; -1 if there is none.
extern "C" __attribute__((visibility("default"))) int64_t cliptag_standin_count(const char* name);
