#include "tests/soak/memory_curve.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iomanip>

#include "plugin/cli/bench/measure.h"

namespace cliptag::test {

MemoryCurve::MemoryCurve(double period_s, const std::string& csv)
    : thread_([this, period_s, csv] { Run(period_s, csv); }) {}

MemoryCurve::~MemoryCurve() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void MemoryCurve::Run(double period_s, const std::string& csv) {
  std::ofstream file;
  if (!csv.empty()) {
    file.open(csv);
    file << "seconds,rss_mb,anonymous_mb\n";
  }
  const double begin_ms = NowMs();
  std::unique_lock lock(mutex_);
  do {
    lock.unlock();
    const MemorySample sample{(NowMs() - begin_ms) / 1000, ResidentMb(), AnonymousMb()};
    if (file.is_open()) {
      file << std::fixed << std::setprecision(2) << sample.seconds << ',' << sample.rss_mb << ','
           << sample.anonymous_mb << std::endl;
    }
    lock.lock();
    samples_.push_back(sample);
  } while (
      !stop_.wait_for(lock, std::chrono::duration<double>(period_s), [this] { return stopping_; }));
}

std::vector<MemorySample> MemoryCurve::samples() const {
  const std::lock_guard lock(mutex_);
  return samples_;
}

MemoryCurve::Part MemoryCurve::Between(double from, double to) const {
  const auto all = samples();
  const auto count = static_cast<double>(all.size());
  const auto first = std::min(static_cast<size_t>(from * count), all.size() - 1);
  const auto end = std::max(first + 1, std::min(static_cast<size_t>(to * count), all.size()));
  Part part;
  for (size_t i = first; i < end; ++i) {
    part.most_mb = std::max(part.most_mb, all[i].anonymous_mb);
    part.mean_mb += all[i].anonymous_mb / static_cast<double>(end - first);
  }
  return part;
}

std::string MemoryCurve::Drawn() const {
  constexpr size_t kColumns = 64, kRows = 8;
  const auto all = samples();
  if (all.empty()) return "";
  double most = 0;
  for (const MemorySample& sample : all) most = std::max(most, sample.anonymous_mb);
  std::vector<double> columns(kColumns, 0);
  for (size_t c = 0; c < kColumns; ++c) {
    columns[c] = all[c * all.size() / kColumns].anonymous_mb;
  }
  std::string drawn;
  for (size_t row = kRows; row > 0; --row) {
    char label[32];
    const double level = most * static_cast<double>(row) / kRows;
    std::snprintf(label, sizeof(label), "%7.0f MB |", level);
    drawn += label;
    for (const double value : columns) drawn += value > level - most / kRows / 2 ? '#' : ' ';
    drawn += '\n';
  }
  char end[64];
  std::snprintf(end, sizeof(end), "          0 s ... %.0f s, anonymous memory\n",
                all.back().seconds);
  return drawn + end;
}

}  // namespace cliptag::test
