// Prometheus' text format, version 0.0.4: what the fields of `stats` are called there.
#include <charconv>
#include <map>
#include <string>

#include "plugin/elements/metrics/file.h"

namespace cliptag {
namespace {

struct Metric {
  const char* field;  // of `stats`; a metric whose field is not there is left out
  const char* name;
  const char* type;
  const char* help;
  double scale = 1;
};

constexpr double kNs = 1e-9;
constexpr Metric kMetrics[] = {
    {"frames-in", "cliptag_frames_total", "counter", "Frames received."},
    {"frames-tagged", "cliptag_frames_tagged_total", "counter",
     "Frames that left with tags of their own."},
    {"frames-held", "cliptag_frames_held", "gauge", "Frames that wait for their tags."},
    {"skipped-late", "cliptag_skipped_late_total", "counter",
     "Frames that were due but not inferred because downstream was late."},
    {"skipped-still", "cliptag_skipped_still_total", "counter",
     "Frames that were due but not inferred because nothing had changed."},
    {"replaced", "cliptag_replaced_total", "counter",
     "Frames replaced by a newer frame before inference."},
    {"submitted", "cliptag_submitted_total", "counter", "Frames submitted to the engine."},
    {"inferred", "cliptag_inferred_total", "counter", "Frames inferred."},
    {"failed", "cliptag_failed_total", "counter", "Frames whose inference failed."},
    {"cancelled", "cliptag_cancelled_total", "counter", "Frames cancelled by a flush or a stop."},
    {"pictures", "cliptag_pictures_total", "counter", "Frames, tiles and objects encoded."},
    {"objects-reused", "cliptag_objects_reused_total", "counter",
     "Objects whose embedding was reused from an earlier frame."},
    {"queued", "cliptag_queued", "gauge", "Frames that wait for the engine."},
    {"too-slow", "cliptag_too_slow", "gauge", "1 while fewer frames are inferred than are due."},
    {"batches", "cliptag_batches_total", "counter", "Batches that held a frame of this stream."},
    {"mean-batch", "cliptag_batch_mean_frames", "gauge", "Frames in such a batch, on average."},
    {"latency-p50", "cliptag_latency_p50_seconds", "gauge",
     "Median time from submitting a frame to its tags, of recent frames.", kNs},
    {"latency-p99", "cliptag_latency_p99_seconds", "gauge",
     "99th percentile of the time from submitting a frame to its tags, of recent frames.", kNs},
    {"age-p50", "cliptag_tags_age_p50_seconds", "gauge",
     "Median time between a frame and the one its tags came from, of recent frames.", kNs},
    {"age-p99", "cliptag_tags_age_p99_seconds", "gauge", "99th percentile of the same.", kNs},
    {"threads", "cliptag_threads", "gauge", "CPU threads for inference."},
};

constexpr Metric kRate = {nullptr, "cliptag_images_per_second", "gauge",
                          "Frames inferred per second, since the last write of this file."};

// A value of a label: any text, in quotes.
std::string Quoted(const char* text) {
  gchar* valid = g_utf8_make_valid(text != nullptr ? text : "", -1);
  std::string quoted = "\"";
  for (const char* c = valid; *c != '\0'; ++c) {
    if (*c == '\n') {
      quoted += "\\n";
      continue;
    }
    if (*c == '\\' || *c == '"') quoted += '\\';
    quoted += *c;
  }
  g_free(valid);
  return quoted + "\"";
}

// Without the closing brace.
std::string Labels(const std::string& stream, const GstStructure* stats) {
  std::string labels = "{stream=" + Quoted(stream.c_str());
  for (const char* name : {"model", "backend", "precision"}) {
    labels += std::string(",") + name + "=" + Quoted(gst_structure_get_string(stats, name));
  }
  return labels;
}

// Shortest text that reads as the same number; the locale has no part in it.
std::string Number(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
  return error == std::errc() ? std::string(text, end) : "NaN";
}

// The field as text; empty if it is not there.
std::string ValueOf(const GstStructure* stats, const Metric& metric) {
  const GValue* value = gst_structure_get_value(stats, metric.field);
  if (value == nullptr) return "";
  if (G_VALUE_HOLDS_UINT64(value)) {
    const guint64 number = g_value_get_uint64(value);
    if (metric.scale == 1) return std::to_string(number);
    if (number == GST_CLOCK_TIME_NONE) return "";
    return Number(static_cast<double>(number) * metric.scale);
  }
  if (G_VALUE_HOLDS_BOOLEAN(value)) return g_value_get_boolean(value) ? "1" : "0";
  if (G_VALUE_HOLDS_UINT(value)) return std::to_string(g_value_get_uint(value));
  if (G_VALUE_HOLDS_DOUBLE(value)) return Number(g_value_get_double(value) * metric.scale);
  return "";
}

void Append(const Metric& metric, const std::string& samples, std::string* text) {
  if (samples.empty()) return;
  *text += std::string("# HELP ") + metric.name + " " + metric.help + "\n# TYPE " + metric.name +
           " " + metric.type + "\n" + samples;
}

constexpr Metric kTagActive = {nullptr, "cliptag_tag_active", "gauge",
                               "1 while the tag is active."};
constexpr Metric kTagScore = {nullptr, "cliptag_tag_score", "gauge",
                              "Score of the tag in the last inference, if it was listed there."};
constexpr Metric kTagEvents = {nullptr, "cliptag_tag_events_total", "counter",
                               "Starts and ends of the tag."};

void AppendTags(std::span<const MetricsRow> rows, const std::vector<std::string>& labels,
                std::string* text) {
  std::string active, score, events;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const TagCount& tag : rows[i].tags) {
      const std::string of = labels[i] + ",label=" + Quoted(tag.label.c_str());
      active += kTagActive.name + of + "} " + (tag.active ? "1" : "0") + "\n";
      if (tag.score >= 0) score += kTagScore.name + of + "} " + Number(tag.score) + "\n";
      events += kTagEvents.name + of + ",state=\"start\"} " + std::to_string(tag.starts) + "\n" +
                kTagEvents.name + of + ",state=\"end\"} " + std::to_string(tag.ends) + "\n";
    }
  }
  Append(kTagActive, active, text);
  Append(kTagScore, score, text);
  Append(kTagEvents, events, text);
}

}  // namespace

std::string FormatMetrics(std::span<const MetricsRow> rows) {
  std::vector<std::string> labels;
  std::map<std::string, int> seen;
  for (const MetricsRow& row : rows) {
    const int count = ++seen[row.stream];
    labels.push_back(
        Labels(count == 1 ? row.stream : row.stream + "#" + std::to_string(count), row.stats));
  }
  std::string text;
  for (const Metric& metric : kMetrics) {
    std::string samples;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string value = ValueOf(rows[i].stats, metric);
      if (!value.empty()) samples += metric.name + labels[i] + "} " + value + "\n";
    }
    Append(metric, samples, &text);
  }
  std::string samples;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].images_per_second < 0) continue;
    samples += kRate.name + labels[i] + "} " + Number(rows[i].images_per_second) + "\n";
  }
  Append(kRate, samples, &text);
  AppendTags(rows, labels, &text);
  return text;
}

}  // namespace cliptag
