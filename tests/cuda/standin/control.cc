#include "tests/cuda/standin/control.h"

#include <charconv>
#include <functional>
#include <utility>

#include "tests/cuda/standin/runtime.h"

namespace cliptag::standin {
namespace {

bool ReadNumber(std::string_view text, uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "cudaMalloc:3:2"
bool ReadFailure(std::string_view text, Settings& settings) {
  const size_t first = text.find(':'), second = text.rfind(':');
  uint64_t nth = 0, error = 0;
  if (first == std::string_view::npos || second == first ||
      !ReadNumber(text.substr(first + 1, second - first - 1), nth) ||
      !ReadNumber(text.substr(second + 1), error)) {
    return false;
  }
  settings.failures.push_back(
      {std::string(text.substr(0, first)), static_cast<int>(nth), static_cast<int>(error)});
  return true;
}

bool ReadCapability(std::string_view text, Settings& settings) {
  const size_t dot = text.find('.');
  uint64_t major = 0, minor = 0;
  if (dot == std::string_view::npos || !ReadNumber(text.substr(0, dot), major) ||
      !ReadNumber(text.substr(dot + 1), minor)) {
    return false;
  }
  settings.major = static_cast<int>(major);
  settings.minor = static_cast<int>(minor);
  return true;
}

// "50:30"
bool ReadTimes(std::string_view text, std::vector<uint32_t>& times) {
  times.clear();
  for (size_t colon = 0; colon != std::string_view::npos;) {
    colon = text.find(':');
    uint64_t number = 0;
    if (!ReadNumber(text.substr(0, colon), number)) return false;
    times.push_back(static_cast<uint32_t>(number));
    if (colon != std::string_view::npos) text.remove_prefix(colon + 1);
  }
  return true;
}

bool ReadSetting(std::string_view key, std::string_view value, Settings& s) {
  if (key == "name") {
    s.name = value;
    return true;
  }
  if (key == "fail") return ReadFailure(value, s);
  if (key == "capability") return ReadCapability(value, s);
  if (key == "algorithm_us") return ReadTimes(value, s.algorithm_us);
  uint64_t number = 0;
  if (!ReadNumber(value, number)) return false;
  const int small = static_cast<int>(number);
  if (key == "devices")
    s.devices = small;
  else if (key == "sms")
    s.multiprocessors = small;
  else if (key == "memory_mb")
    s.memory_bytes = size_t{number} << 20;
  else if (key == "driver")
    s.driver_version = small;
  else if (key == "order")
    s.order = static_cast<uint32_t>(number);
  else if (key == "kernel_order")
    s.kernel_order = static_cast<uint32_t>(number);
  else if (key == "protect")
    s.protect = number != 0;
  else if (key == "guard_pages")
    s.guard_pages = number != 0;
  else if (key == "lose_after")
    s.lose_after = number;
  else if (key == "lost_error")
    s.lost_error = static_cast<cudaError_t>(number);
  else
    return false;
  return true;
}

using Count = std::pair<const char*, uint64_t>;

std::vector<Count> AllCounts() {
  const Counters c = GetCounters();
  const LiveObjects o = GetLiveObjects();
  return {{"operations", c.operations},
          {"kernels", c.kernels},
          {"products", c.products},
          {"unaligned_products", c.unaligned_products},
          {"nan_products", c.nan_products},
          {"convolutions", c.convolutions},
          {"poolings", c.poolings},
          {"copies_to_device", c.copies_to_device},
          {"copies_to_host", c.copies_to_host},
          {"copies_on_device", c.copies_on_device},
          {"bytes_to_device", c.bytes_to_device},
          {"bytes_to_host", c.bytes_to_host},
          {"bytes_on_device", c.bytes_on_device},
          {"graphs_captured", c.graphs_captured},
          {"graphs_launched", c.graphs_launched},
          {"allocations", c.allocations},
          {"live_allocations", o.allocations},
          {"live_pinned", o.pinned},
          {"live_streams", o.streams},
          {"live_events", o.events},
          {"live_graphs", o.graphs},
          {"live_graph_execs", o.graph_execs},
          {"live_library_objects", o.library_objects},
          {"live_total", o.Total()},
          {"device_bytes", o.device_bytes},
          {"pinned_bytes", o.pinned_bytes},
          {"pending", PendingOperations()}};
}

}  // namespace

bool ParseSettings(std::string_view text, Settings& settings, std::string& error) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos ||
        !ReadSetting(item.substr(0, equals), item.substr(equals + 1), settings)) {
      error = "cannot read \"" + std::string(item) + "\"";
      return false;
    }
  }
  return true;
}

std::vector<std::string> Reset(const Settings& settings) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  return runtime.Reset(settings);
}

void SetOrder(uint32_t order) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  runtime.SetOrder(order);
}

void LoseDeviceAfter(uint64_t operations, cudaError_t error) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  runtime.settings.lose_after = runtime.counters.operations + operations;
  runtime.settings.lost_error = error;
}

void FailCall(std::string function, int nth, int error) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  runtime.failures[std::move(function)].push_back({nth, error});
}

uint64_t CallsOf(const std::string& function) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  const auto it = runtime.calls.find(function);
  return it == runtime.calls.end() ? 0 : it->second;
}

Counters GetCounters() {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  return runtime.counters;
}

LiveObjects GetLiveObjects() {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  LiveObjects live;
  live.allocations = runtime.memory.blocks().size();
  for (const auto& [address, block] : runtime.memory.blocks()) live.device_bytes += block.bytes;
  live.pinned = runtime.pinned.count();
  live.pinned_bytes = runtime.pinned.live_bytes();
  live.streams = runtime.streams.size();
  live.events = runtime.events.size();
  live.graphs = runtime.graphs.size();
  live.graph_execs = runtime.execs.size();
  live.library_objects = runtime.library_objects;
  return live;
}

size_t PendingOperations() {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  size_t pending = 0;
  for (const auto& stream : runtime.all_streams()) pending += stream->queue.size();
  return pending;
}

std::string LastKernelError() {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  return runtime.sticky_text();
}

std::vector<std::string> TakeProblems() {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  return std::exchange(runtime.problems, {});
}

}  // namespace cliptag::standin

int cliptag_standin_configure(const char* text) {
  cliptag::standin::Settings settings;
  std::string error;
  if (!cliptag::standin::ParseSettings(text, settings, error)) return -1;
  cliptag::standin::Reset(settings);
  return 0;
}

int64_t cliptag_standin_count(const char* name) {
  const std::string_view wanted = name;
  if (wanted.starts_with("calls:")) {
    return static_cast<int64_t>(cliptag::standin::CallsOf(std::string(wanted.substr(6))));
  }
  for (const auto& [field, value] : cliptag::standin::AllCounts()) {
    if (wanted == field) return static_cast<int64_t>(value);
  }
  return -1;
}
