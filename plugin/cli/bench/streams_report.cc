// What `cliptag bench --streams` says in the end.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "plugin/cli/bench/hostile.h"
#include "plugin/cli/bench/streams.h"

namespace cliptag {
namespace {

struct Sums {
  uint64_t frames = 0, late = 0, lost = 0;
  double images_per_second = 0, least = 0, most = 0, jain = 0;
  DurationCounts age;
};

Sums SumUp(const StreamsRun& run) {
  Sums sums;
  std::vector<double> rates;
  for (const StreamResult& stream : run.streams) {
    sums.frames += stream.frames;
    sums.late += stream.late;
    sums.lost += stream.lost;
    sums.images_per_second += stream.tags_per_second;
    sums.age.Merge(stream.age);
    rates.push_back(stream.tags_per_second);
  }
  if (!rates.empty()) {
    const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
    sums.least = *least;
    sums.most = *most;
  }
  sums.jain = JainIndex(rates);
  return sums;
}

// No frame lost, looks shared evenly, and no more late frames than without `cliptag`, but for one
// in a thousand.
bool Unharmed(const Sums& tagged, const Sums& identity) {
  constexpr double kLate = 0.001, kJain = 0.9;
  return tagged.lost == 0 && tagged.jain >= kJain &&
         static_cast<double>(tagged.late) <=
             static_cast<double>(identity.late) + kLate * static_cast<double>(tagged.frames);
}

}  // namespace

nlohmann::ordered_json ToJson(const StreamsOptions& options, const StreamsResult& result) {
  const Sums tagged = SumUp(result.tagged), identity = SumUp(result.identity);
  nlohmann::ordered_json json;
  json["frames_in"] = tagged.frames;
  if (result.has_identity) {
    json["frames_late"] = tagged.late;
    json["identity_frames_late"] = identity.late;
  }
  json["tags_per_second"] = {{"min", tagged.least}, {"max", tagged.most}};
  json["age_ms"] = {{"p50", tagged.age.QuantileMs(0.5)}, {"p99", tagged.age.QuantileMs(0.99)}};
  json["jain"] = tagged.jain;
  json["rss_mb"] = result.tagged.rss_mb;
  json["anonymous_mb"] = result.tagged.anonymous_mb;
  json["streams"] = options.streams;
  json["mode"] = options.mode;
  json["model"] = options.model.model;
  json["backend"] = result.tagged.backend;
  json["precision"] = result.tagged.precision;
  json["images_per_second"] = tagged.images_per_second;
  json["frames_lost"] = tagged.lost;
  json["seconds"] = options.seconds;
  json["cpu_seconds"] = result.tagged.cpu_seconds;
  if (result.has_identity) {
    json["identity_frames_in"] = identity.frames;
    json["identity_frames_lost"] = identity.lost;
    json["identity_cpu_seconds"] = result.identity.cpu_seconds;
    json["identity_rss_mb"] = result.identity.rss_mb;
  }
  if (options.hostile) {
    json["hostile"] = {{"streams", std::size(kHostilities)},
                       {"seeks", result.tagged.seeks},
                       {"prompt_changes", result.tagged.prompt_changes},
                       {"broken_frames", result.tagged.broken_frames},
                       {"others_unharmed", Unharmed(tagged, identity)}};
  }
  return json;
}

std::string ToTable(const StreamsOptions& options, const StreamsResult& result) {
  const Sums tagged = SumUp(result.tagged), identity = SumUp(result.identity);
  char text[512];
  std::string table;
  const auto line = [&](const char* format, auto... values) {
    std::snprintf(text, sizeof(text), format, values...);
    table += text;
  };
  line("%d streams of %s %dx%d at %s frames/s, %s, model %s\n", options.streams,
       options.shape.format.c_str(), options.shape.width, options.shape.height,
       result.has_identity ? options.fps.c_str() : "all", options.mode.c_str(),
       options.model.model.c_str());
  line("  on           %s, %s\n", result.tagged.backend.c_str(), result.tagged.precision.c_str());
  line("  frames       %llu came, %llu were lost\n", static_cast<unsigned long long>(tagged.frames),
       static_cast<unsigned long long>(tagged.lost));
  if (result.has_identity) {
    line("  late         %llu by more than 10 ms; %llu with identity in place of cliptag\n",
         static_cast<unsigned long long>(tagged.late),
         static_cast<unsigned long long>(identity.late));
  }
  line("  looks        %.1f/s in all, %.2f to %.2f/s for a stream, Jain's index %.3f\n",
       tagged.images_per_second, tagged.least, tagged.most, tagged.jain);
  line("  age of tags  %.0f ms median, %.0f ms p99\n", tagged.age.QuantileMs(0.5),
       tagged.age.QuantileMs(0.99));
  line("  computing    %.2f of a core", result.tagged.cpu_seconds / options.seconds);
  if (result.has_identity) {
    line("; %.2f with identity", result.identity.cpu_seconds / options.seconds);
  }
  line("\n  memory       %.0f MB resident\n", result.tagged.rss_mb);
  if (options.hostile) {
    line(
        "  hostile      a stuck sink, %llu seeks, %llu changes of prompts, %llu broken frames: the "
        "others %s\n",
        static_cast<unsigned long long>(result.tagged.seeks),
        static_cast<unsigned long long>(result.tagged.prompt_changes),
        static_cast<unsigned long long>(result.tagged.broken_frames),
        Unharmed(tagged, identity) ? "did not notice" : "NOTICED");
  }
  return table;
}

}  // namespace cliptag
