// What the parts of the GPU benchmark share: options, JSON lines, buffers of random numbers, and
// times by the card's own clock.
//
// Ownership: everything frees itself. Thread safety: one thread.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/function_ref.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/graph.h"

namespace cliptag::bench {

struct Options {
  DType type = DType::kBF16;
  std::vector<std::string> models;  // names of shapes; empty = all
  std::vector<int> batches = {1, 8, 32, 64, 256};
  double seconds = 0.3;  // of each measurement
  bool small = false;    // everything tiny: whether it runs, over the stand-in
};

// One result, printed when it goes: {"kind": "op", "name": ..., ...}. NaN becomes null.
class JsonLine {
 public:
  explicit JsonLine(const std::string& kind) { Text("kind", kind); }
  ~JsonLine();
  JsonLine& Text(const std::string& key, const std::string& value);
  JsonLine& Number(const std::string& key, double value);

 private:
  std::string line_;
};

// Ends the program with the message.
void Check(const Status& status);
void Check(cudaError_t error);
template <typename T>
T Check(Result<T> result) {
  Check(result.ok() ? Status() : result.status());
  return result.Take();
}

// Normally distributed numbers, sigma 1: zeros would be multiplied faster.
std::vector<uint16_t> RandomHalves(size_t count, DType type, float scale, float offset = 0);

// A matrix of random numbers in device memory of its own.
class RandomMatrix {
 public:
  RandomMatrix(int64_t rows, int64_t cols, DType type, float scale = 1.0f);
  const Matrix& get() const { return matrix_; }
  operator const Matrix&() const { return matrix_; }  // NOLINT: implicit on purpose

 private:
  std::unique_ptr<cuda::DeviceMemory> memory_;
  Matrix matrix_;
};

struct Timing {
  double median = 0, best = 0;  // seconds per call
};

// Times what is put into a stream: `calls` calls recorded as one graph, so that the host is out of
// the picture, replayed between two events.
class StreamTimer {
 public:
  StreamTimer();
  ~StreamTimer();
  StreamTimer(const StreamTimer&) = delete;
  const cuda::Device& device() const { return device_; }
  cudaStream_t stream() const { return stream_.get(); }
  // `run(i)` does the i-th call, for example with the i-th of several buffers.
  Timing Measure(double seconds, int calls, FunctionRef<Status(int)> run);

 private:
  cuda::Device device_;
  cuda::Stream stream_;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

// Times by the host's clock: `run` several times in a row, then `wait`.
Timing MeasureOnHost(double seconds, FunctionRef<Status()> run, FunctionRef<Status()> wait);

// How many sets of buffers of that size do not fit into the card's cache together, 1 to 16.
int Rotation(size_t bytes);

// The parts. Each prints its lines.
void MeasureLimits(const Options& options);      // copy bandwidth, a big product
void MeasureOperations(const Options& options);  // every kernel of the models at batch 1 and 64
void MeasureAttention(const Options& options);
void MeasurePreprocess(const Options& options);
void MeasureModels(const Options& options);

}  // namespace cliptag::bench
