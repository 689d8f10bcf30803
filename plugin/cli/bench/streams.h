// `cliptag bench --streams N`: N cameras through the element `cliptag` in one process, beside the
// same N through `identity`. What it measures is in the command's help.
//
// One thread; the streams have their own.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/bench/measure.h"
#include "plugin/cli/bench/stages.h"
#include "plugin/cli/options.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {

struct StreamsOptions {
  ModelOptions model;
  BenchShape shape;        // batch: 0 = the backend's choice
  int streams = 0;         // 0: not asked for
  std::string fps = "25";  // N, N/D or a decimal number
  std::string max_rate;    // N or N/D; empty: 1/1 in live, no limit in exact
  std::string mode = "live";
  double seconds = 3;
  bool aligned = false;  // all streams have their frames, and looks, at the same time
  bool hostile = false;
};

struct StreamResult {
  uint64_t frames = 0, late = 0, lost = 0;
  double tags_per_second = 0;
  DurationCounts age;
};

// What one run of all streams gave.
struct StreamsRun {
  std::vector<StreamResult> streams;  // without the hostile ones
  double cpu_seconds = 0;             // while it was measured
  double rss_mb = 0, anonymous_mb = 0;
  std::string backend, precision;
  uint64_t seeks = 0, prompt_changes = 0, broken_frames = 0;
};

struct StreamsResult {
  bool has_identity = false;
  StreamsRun tagged, identity;
};

Result<StreamsResult> BenchStreams(const StreamsOptions& options);
nlohmann::ordered_json ToJson(const StreamsOptions& options, const StreamsResult& result);
std::string ToTable(const StreamsOptions& options, const StreamsResult& result);

// (sum of x)^2 / (n times the sum of x^2): 1 where all get the same, 1/n where one gets all.
double JainIndex(const std::vector<double>& shares);

// "25", "30000/1001", "29.97" as a fraction.
Result<Rate> ParseRate(const std::string& text, const std::string& option);

}  // namespace cliptag
