#include "models/precision_trials.h"

#include <charconv>
#include <cmath>

namespace cliptag {
namespace {

constexpr double kBillion = 1e9;

}  // namespace

TrialFile FindTrialFile(const std::string& name, const std::string& identity) {
  return FindCacheFile("precision", name, identity);
}

std::optional<double> ReadTrial(const TrialFile& file) {
  const std::optional<std::string> body = ReadCacheFile(file);
  if (!body) return std::nullopt;
  int64_t billionths = 0;
  const char* const end = body->data() + body->size();
  if (std::from_chars(body->data(), end, billionths).ptr != end) return std::nullopt;
  return static_cast<double>(billionths) / kBillion;
}

Status WriteTrial(const TrialFile& file, double worst_cosine) {
  return WriteCacheFile(file, std::to_string(std::llround(worst_cosine * kBillion)));
}

}  // namespace cliptag
