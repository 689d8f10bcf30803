// The property `metrics-file`: the numbers of `stats` as a file in Prometheus' text format, for the
// textfile collector of its node exporter or whatever else reads such files.
//
// All elements of a process that name the same path share a writer, a thread that replaces the file
// once a second, so that no reader sees half of it. An element that has stopped stays in the file
// for ten seconds with its last numbers. When the last one stops the file is removed, so that old
// numbers are not taken for new ones. A file that cannot be written is one warning; it is tried
// again every second.
//
// Ownership: an element owns its registration. The last registration of a path ends the writer and
// waits for its thread; no other element waits. Thread safety: register and unregister on any
// thread, but not within a callback; callbacks run on the writer's thread, and not after the
// registration is destroyed.
#pragma once

#include <gst/gst.h>
#include <sys/stat.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plugin/elements/metrics/tag_counts.h"

namespace cliptag {

struct MetricsSource {
  std::string stream;                            // the label
  std::function<GstStructure*()> stats;          // as the property `stats`; given away
  std::function<std::vector<TagCount>()> tags;   // none where it is empty
  std::function<void(const std::string&)> warn;  // one sentence
};

class MetricsRegistration {
 public:
  virtual ~MetricsRegistration() = default;  // takes the last numbers
};

// Null, and a warning, where the system has no thread for it.
std::unique_ptr<MetricsRegistration> RegisterMetrics(const std::string& path, MetricsSource source);

// The parts, for tests.

struct MetricsRow {
  std::string stream;
  const GstStructure* stats = nullptr;
  double images_per_second = -1;  // below zero: not known yet
  std::span<const TagCount> tags;
};
// Streams of the same name are told apart by "#2", "#3", …
std::string FormatMetrics(std::span<const MetricsRow> rows);

// What went wrong, as a sentence; empty if nothing did. `written` says what file was made.
std::string ReplaceMetricsFile(const std::string& path, const std::string& text,
                               struct stat* written = nullptr);
// Removes that file, but not one that another process has put there since.
void RemoveMetricsFile(const std::string& path, const struct stat& written);

}  // namespace cliptag
