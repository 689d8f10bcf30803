// Timing, random buffers and the list of results.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "kernels/base/half.h"
#include "tests/bench/bench.h"

namespace cliptag::bench {

void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "cliptag_bench: %s\n", status.message().c_str());
  std::exit(1);
}

bool Options::Wants(const std::string& name) const {
  return filters.empty() || std::any_of(filters.begin(), filters.end(), [&](const auto& filter) {
           return name.find(filter) != std::string::npos;
         });
}

double NowSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

Timing Measure(double seconds, int sets, const std::function<Status(int)>& run) {
  constexpr size_t kLeastSamples = 5;
  constexpr double kLeastSample = 100e-6;  // reading both clocks takes about one
  int next = 0;
  for (int i = 0; i < std::max(sets, 2); ++i) Check(run(next++));
  const double start = NowSeconds();
  Check(run(next++));
  const double one = std::max(NowSeconds() - start, 1e-7);
  const int calls = std::clamp(static_cast<int>(kLeastSample / one), 1, 1000);
  std::vector<double> times;
  double cpu = 1e30;
  for (const double end = NowSeconds() + seconds;
       NowSeconds() < end || times.size() < kLeastSamples;) {
    const double wall_start = NowSeconds(), cpu_start = CpuSeconds();
    for (int i = 0; i < calls; ++i) Check(run(next++));
    times.push_back((NowSeconds() - wall_start) / calls);
    cpu = std::min(cpu, (CpuSeconds() - cpu_start) / calls);
    next %= std::max(sets, 1) * 1024;
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), std::max(cpu, 1e-9)};
}

std::vector<float> RandomFloats(size_t count, float scale) {
  std::minstd_rand random(20261125);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(count);
  constexpr size_t kRandoms = 1 << 18;  // repeated beyond that
  for (size_t i = 0; i < count; ++i) {
    values[i] = i < kRandoms ? uniform(random) : values[i - kRandoms];
  }
  return values;
}

Matrix Buffers::New(int64_t rows, int64_t cols, DType type, float scale) {
  const auto count = static_cast<size_t>(rows * cols);
  const std::vector<float> values = RandomFloats(count, scale);
  memory_.push_back(Check(backend_.Upload({values.data(), DType::kF32, {rows, cols}}, type)));
  return {memory_.back()->data(), type, rows, cols, cols};
}

const int32_t* Buffers::Indices(std::vector<int32_t> indices) {
  const auto count = static_cast<int64_t>(indices.size());
  memory_.push_back(Check(backend_.Upload({indices.data(), DType::kI32, {count}}, DType::kI32)));
  return static_cast<const int32_t*>(memory_.back()->data());
}

int ColdSets(const Options& options, size_t bytes, int least) {
  if (options.small) return 2;
  constexpr size_t kMost = 768u << 20;
  const size_t wanted = 2 * LastLevelCacheBytes() / std::max<size_t>(bytes, 1) + 1;
  const size_t fit = std::max<size_t>(kMost / std::max<size_t>(bytes, 1), 2);
  return static_cast<int>(
      std::min({std::max<size_t>(wanted, static_cast<size_t>(least)), fit, size_t{256}}));
}

void Report::Run(const Case& one) {
  const Operation op = one.make();
  for (const bool cold : {true, false}) {
    if (cold && op.sets < 2) continue;
    const Timing t = Measure(options_.seconds, cold ? op.sets : 1,
                             [&](int i) { return op.run(cold ? i % op.sets : 0); });
    Json result = {{"name", one.name},         {"precision", ToString(info_.precision)},
                   {"threads", info_.threads}, {"cache", cold ? "cold" : "warm"},
                   {"ms", t.median * 1e3},     {"best_ms", t.best * 1e3},
                   {"cpu_ms", t.cpu * 1e3}};
    if (op.flops > 0) {
      result["gflops"] = op.flops / t.best * 1e-9;
      // Of one core at what it can do in that precision.
      const double peak = info_.precision == Precision::kInt8   ? limits_.int8_gops
                          : info_.precision == Precision::kBf16 ? limits_.bf16_gflops
                                                                : limits_.fp32_gflops;
      result["core_gflops"] = op.flops / t.cpu * 1e-9;
      if (peak > 0) result["of_peak"] = op.flops / t.cpu * 1e-9 / peak;
    }
    if (op.bytes > 0) {
      const double rate = op.bytes / t.best * 1e-9;
      const double limit = info_.threads > 1 ? limits_.all_memory_gb_s : limits_.memory_gb_s;
      result["gb_s"] = rate;
      if (cold && limit > 0) result["of_memory"] = rate / limit;
    }
    Add(std::move(result));
  }
}

void Report::Add(Json result) {
  // A table for people, on stderr: standard output is JSON.
  const auto number = [&](const char* key) { return result.value(key, 0.0); };
  std::fprintf(stderr, "%-38s %-5s %-4s %9.3f ms", result.value("name", "").c_str(),
               result.value("precision", "").c_str(), result.value("cache", "").c_str(),
               number("ms"));
  std::fprintf(stderr, " %9.3f cpu", number("cpu_ms"));
  if (number("gflops") > 0) std::fprintf(stderr, " %8.1f GFLOP/s", number("gflops"));
  if (number("of_peak") > 0) std::fprintf(stderr, " (%3.0f %%)", 100 * number("of_peak"));
  if (number("gb_s") > 0) std::fprintf(stderr, " %7.2f GB/s", number("gb_s"));
  if (number("images_per_second") > 0) {
    std::fprintf(stderr, " %8.1f images/s", number("images_per_second"));
  }
  std::fprintf(stderr, "\n");
  results_.push_back(std::move(result));
}

void Report::Unsupported(const std::string& name, Precision precision, const std::string& why) {
  std::fprintf(stderr, "%-38s %-5s not there: %s\n", name.c_str(), ToString(precision),
               why.c_str());
  results_.push_back({{"name", name}, {"precision", ToString(precision)}, {"unsupported", why}});
}

}  // namespace cliptag::bench
