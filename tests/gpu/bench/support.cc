#include "tests/gpu/bench/support.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "kernels/base/half.h"

namespace cliptag::bench {
namespace {

constexpr size_t kRandoms = size_t{1} << 20;  // repeated in larger buffers

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Timing Summarise(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

// An event's resolution is half a microsecond, the stand-in's none.
constexpr double kLeastSeconds = 1e-9;

}  // namespace

JsonLine::~JsonLine() {
  std::printf("{%s}\n", line_.c_str());
  std::fflush(stdout);  // what is there stays when the time is up
}

JsonLine& JsonLine::Text(const std::string& key, const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '"' || c == '\\') escaped += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) escaped += c;
  }
  line_ += (line_.empty() ? "\"" : ", \"") + key + "\": \"" + escaped + "\"";
  return *this;
}

JsonLine& JsonLine::Number(const std::string& key, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.7g", value);
  line_ += ", \"" + key + "\": " + (std::isfinite(value) ? text : "null");
  return *this;
}

void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}
void Check(cudaError_t error) { Check(cuda::FromCuda(error, "it was measured")); }

std::vector<uint16_t> RandomHalves(size_t count, DType type, float scale, float offset) {
  std::mt19937 random(20261124);
  std::normal_distribution<float> normal(offset, scale);
  std::vector<uint16_t> values(count);
  for (size_t i = 0; i < std::min(count, kRandoms); ++i) {
    const float value = normal(random);
    values[i] = type == DType::kF16 ? FloatToHalf(value) : FloatToBf16(value);
  }
  for (size_t i = kRandoms; i < count; ++i) values[i] = values[i - kRandoms];
  return values;
}

RandomMatrix::RandomMatrix(int64_t rows, int64_t cols, DType type, float scale) {
  const size_t bytes = static_cast<size_t>(rows * cols) * SizeOf(type);
  memory_ = Check(cuda::DeviceMemory::Allocate(bytes));
  matrix_ = {memory_->data(), type, rows, cols, cols};
  const size_t piece = std::min(bytes, kRandoms * SizeOf(type));
  std::vector<char> host(piece);
  if (type == DType::kF32) {
    std::mt19937 random(20261124);
    std::normal_distribution<float> normal(0, scale);
    auto* values = reinterpret_cast<float*>(host.data());
    for (size_t i = 0; i < piece / sizeof(float); ++i) values[i] = normal(random);
  } else {
    const std::vector<uint16_t> values = RandomHalves(piece / 2, type, scale);
    std::copy_n(reinterpret_cast<const char*>(values.data()), piece, host.data());
  }
  for (size_t at = 0; at < bytes; at += piece) {
    Check(cudaMemcpy(static_cast<char*>(memory_->data()) + at, host.data(),
                     std::min(piece, bytes - at), cudaMemcpyHostToDevice));
  }
  Check(cudaDeviceSynchronize());
}

StreamTimer::StreamTimer()
    : device_(Check(cuda::OpenDevice(0, nullptr))), stream_(Check(cuda::Stream::Create())) {
  Check(cudaEventCreateWithFlags(&start_, cudaEventDefault));
  Check(cudaEventCreateWithFlags(&stop_, cudaEventDefault));
}

StreamTimer::~StreamTimer() {
  (void)cudaEventDestroy(start_);
  (void)cudaEventDestroy(stop_);
}

Timing StreamTimer::Measure(double seconds, int calls, FunctionRef<Status(int)> run) {
  cuda::CudaGraph graph(device_, stream());
  const auto batch = [&]() -> Status {
    for (int i = 0; i < calls; ++i) CLIPTAG_RETURN_IF_ERROR(run(i));
    return {};
  };
  for (int i = 0; i < 3; ++i) Check(graph.Run(batch));  // plain, recorded, replayed
  Check(cudaStreamSynchronize(stream()));
  std::vector<double> times;
  for (const double end = Now() + seconds; Now() < end || times.size() < 5;) {
    Check(cudaEventRecord(start_, stream()));
    Check(graph.Run(batch));
    Check(cudaEventRecord(stop_, stream()));
    Check(cudaEventSynchronize(stop_));
    float ms = 0;
    Check(cudaEventElapsedTime(&ms, start_, stop_));
    times.push_back(std::max(double{ms} * 1e-3 / calls, kLeastSeconds));
  }
  return Summarise(times);
}

Timing MeasureOnHost(double seconds, FunctionRef<Status()> run, FunctionRef<Status()> wait) {
  const auto time = [&](int calls) {
    const double start = Now();
    for (int i = 0; i < calls; ++i) Check(run());
    Check(wait());
    return std::max((Now() - start) / calls, kLeastSeconds);
  };
  for (int i = 0; i < 3; ++i) time(1);
  // Long enough that waiting once, some 10 us, does not count.
  const int calls = std::clamp(static_cast<int>(0.005 / time(1)), 1, 100);
  std::vector<double> times;
  for (const double end = Now() + seconds; Now() < end || times.size() < 5;) {
    times.push_back(time(calls));
  }
  return Summarise(times);
}

int Rotation(size_t bytes) {
  constexpr size_t kBeyondCache = size_t{256} << 20;
  return static_cast<int>(std::clamp<size_t>(kBeyondCache / std::max<size_t>(bytes, 1), 1, 16));
}

}  // namespace cliptag::bench
