// Runs a CUDA kernel's own source on the host, one block after the other, its threads as fibers
// (the quick build) or as OS threads (the build for ThreadSanitizer). It is strict where a GPU is
// lenient: memory starts as NaN, an asynchronous copy lands only when it is waited for, a barrier
// that not every thread reaches is an error that names the missing threads, as is a warp-wide call
// reached by lanes at different places, a misaligned address and a write past the shared memory.
//
// A test writes
//   DeviceBuffer<float> x(100);
//   const LaunchReport report = Launch({.grid = {2, 1, 1}, .threads = 64}, [&] { Kernel(x.data());
//   }); ASSERT_EQ(report.error, "");
//
// Thread safety: one launch at a time in a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cliptag::emulation {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// In which order blocks and, where they may, threads take their turns. Any other number seeds an
// order at random.
inline constexpr uint32_t kAscending = 0;    // each in its turn: warps keep step
inline constexpr uint32_t kLatestFirst = 1;  // a warp runs ahead as far as barriers let it

struct LaunchConfig {
  Dim3 grid;
  int threads = 32;         // of a block; whole warps
  size_t shared_bytes = 0;  // dynamic
  // In which order blocks and, where they may, threads take their turns: 0 ascending, otherwise a
  // seed.
  uint32_t order = 0;
};

struct LaunchReport {
  std::string error;  // empty when the launch went well
  uint64_t barriers = 0;
  uint64_t matrix_products = 0;      // mma.sync, per warp
  uint64_t matrix_loads = 0;         // 8 x 8 matrices that ldmatrix read
  uint64_t bank_conflicts = 0;       // extra cycles of these reads
  uint64_t asynchronous_copies = 0;  // cp.async, per thread
};

LaunchReport Launch(const LaunchConfig& config, const std::function<void()>& kernel);

// What a shared-memory limit would refuse; 227 KiB, as sm_90 has it, unless a test says otherwise.
inline constexpr size_t kSharedLimit = 227 * 1024;

// Bytes with a guard zone on both sides, all of it NaN in every floating-point type at first.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t bytes);
  ~GuardedBytes();
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  unsigned char* data() { return data_; }  // 1024-byte aligned
  size_t bytes() const { return bytes_; }
  bool Contains(const void* p, size_t bytes) const;
  void Poison();
  bool GuardsIntact() const;

 private:
  static constexpr size_t kGuard = 1024;
  std::vector<unsigned char> storage_;
  unsigned char* data_ = nullptr;
  size_t bytes_ = 0;
};

// Global memory of `count` elements; exactly as long, guards included, as GuardedBytes has it.
template <typename T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t count) : bytes_(count * sizeof(T)), count_(count) {}
  T* data() { return reinterpret_cast<T*>(bytes_.data()); }
  T& operator[](size_t i) { return data()[i]; }
  std::span<T> span() { return {data(), count_}; }
  size_t size() const { return count_; }
  bool GuardsIntact() const { return bytes_.GuardsIntact(); }

 private:
  GuardedBytes bytes_;
  size_t count_;
};

}  // namespace cliptag::emulation
