// What the parts of the CPU benchmark share: options, timing, buffers, and the list of results.
//
// The program ends with a message on any error: nothing it measures may fail. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "tests/bench/peaks.h"

namespace cliptag::bench {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<Precision> precisions = {Precision::kFp32, Precision::kBf16, Precision::kInt8};
  std::vector<std::string>
      models;  // shapes by name (random weights), or models that FindModel finds
  std::vector<int> batches = {1, 8};
  std::vector<std::string> filters;  // names that hold one of these; none: all
  int threads = 0;                   // 0 = every core this process may use
  double seconds = 0.3;              // of each measurement
  bool small = false;                // everything tiny: whether it runs

  bool Wants(const std::string& name) const;
};

// Ends the program with the message.
void Check(const Status& status);
template <typename T>
T Check(Result<T> result) {
  Check(result.ok() ? Status() : result.status());
  return result.Take();
}

struct Timing {
  double median = 0, best = 0;  // seconds of a call by the clock on the wall
  // Least CPU time of a call, of all threads together: the number that a busy machine spoils least.
  double cpu = 0;
};

double NowSeconds();
double CpuSeconds();  // of all threads of the process

// Calls run(0), run(1), …: every one of `sets` once (twice at least) to warm up, then for
// `seconds`, five samples at least. Short calls are sampled several at a time.
Timing Measure(double seconds, int sets, const std::function<Status(int)>& run);

// Something that can be timed. It owns what it runs on.
struct Operation {
  double flops = 0;  // multiply and add are two
  double bytes = 0;  // that have to be read or written once
  int sets = 1;      // of buffers or weights that `run` rotates through; the 0th alone is warm
  std::function<Status(int)> run;
};

// One entry of the list of cases; buffers exist while it is measured.
struct Case {
  std::string name;
  std::function<Operation()> make;
};

// Memory of the backend with random numbers in [-scale, scale).
class Buffers {
 public:
  explicit Buffers(Backend& backend) : backend_(backend) {}
  Matrix New(int64_t rows, int64_t cols, DType type, float scale = 1.0f);
  const int32_t* Indices(std::vector<int32_t> indices);
  Backend& backend() { return backend_; }

 private:
  Backend& backend_;
  std::vector<std::unique_ptr<Memory>> memory_;
};

// Random numbers, the same at every run.
std::vector<float> RandomFloats(size_t count, float scale);

// Copies of `bytes` that do not fit into the last-level cache together, as far as memory allows.
int ColdSets(const Options& options, size_t bytes, int least);

class Report {
 public:
  Report(const Options& options, const Limits& limits) : options_(options), limits_(limits) {}

  void SetBackend(const BackendInfo& info) { info_ = info; }
  // Measures the case cold and warm, or only once when it has one set of buffers.
  void Run(const Case& one);
  void Add(Json result);  // printed as it comes
  void Unsupported(const std::string& name, Precision precision, const std::string& why);
  const Options& options() const { return options_; }
  Json Take() { return std::move(results_); }

 private:
  const Options& options_;
  const Limits& limits_;
  BackendInfo info_;
  Json results_ = Json::array();
};

// The parts.
struct Shape;
std::vector<Case> OperationCases(const Options& options, Backend& backend, const Shape& shape,
                                 int batch);
std::vector<Case> ConvolutionCases(const Options& options, Backend& backend, int batch);
std::vector<Case> PreprocessCases(const Options& options, Backend& backend);
// Whole image encoders, with a profile by operation.
void RunModels(const Options& options, Precision precision, Report* report);

}  // namespace cliptag::bench
