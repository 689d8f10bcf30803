#include "tests/cuda/standin/runtime.h"

#include <algorithm>
#include <cstdlib>

namespace cliptag::standin {
namespace {

struct ThreadState {
  uint64_t epoch = 0;
  int device = 0;
  cudaError_t last_error = cudaSuccess;
};
thread_local ThreadState thread_state;

void Refresh(uint64_t epoch) {
  if (thread_state.epoch != epoch) thread_state = {.epoch = epoch};
}

}  // namespace

Runtime& Runtime::Get() {
  static auto* runtime = new Runtime;  // threads may still call when statics are destroyed
  return *runtime;
}

Runtime::Runtime() {
  Settings initial;
  std::string error;
  const char* text = std::getenv("CLIPTAG_STANDIN");
  if (text != nullptr && !ParseSettings(text, initial, error)) {
    problems.push_back("CLIPTAG_STANDIN: " + error);
  }
  Reset(initial);
}

int& Runtime::device() {
  Refresh(epoch_);
  return thread_state.device;
}

cudaError_t& Runtime::last_error() {
  Refresh(epoch_);
  return thread_state.last_error;
}

int Runtime::CountCall(const char* function) {
  ++calls[function];
  const auto it = failures.find(function);
  if (it == failures.end()) return 0;
  int error = 0;
  for (Failure& failure : it->second) {
    if (--failure.nth == 0) error = failure.error;
  }
  std::erase_if(it->second, [](const Failure& failure) { return failure.nth <= 0; });
  return error;
}

cudaError_t Runtime::Check(unsigned flags) {
  if (flags & kWithoutDevice) return cudaSuccess;
  // A driver runs programs of its own major version and of older ones.
  if (settings.driver_version / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
  if (settings.devices == 0) return cudaErrorNoDevice;
  if (sticky_ != cudaSuccess) return sticky_;
  return flags & kUnsafe ? InvalidateAllUnsafe() : cudaSuccess;
}

cudaError_t Runtime::Misuse(const char* function, const std::string& text, cudaError_t error) {
  problems.push_back(std::string(function) + ": " + text);
  return error;
}

bool Runtime::CaptureForbidsUnsafe(const Capture& capture) const {
  if (capture.mode == cudaStreamCaptureModeRelaxed) return false;
  return capture.mode == cudaStreamCaptureModeGlobal ||
         capture.thread == std::this_thread::get_id();
}

cudaError_t Runtime::InvalidateAllUnsafe() {
  cudaError_t error = cudaSuccess;
  for (const auto& capture : captures) {
    if (CaptureForbidsUnsafe(*capture)) {
      error = Invalidate(*capture, cudaErrorStreamCaptureUnsupported);
    }
  }
  return error;
}

cudaError_t Runtime::Invalidate(Capture& capture, cudaError_t error) {
  capture.invalidated = true;
  return error;
}

std::shared_ptr<Stream> Runtime::NewStream(bool blocking) {
  auto stream = std::make_shared<Stream>();
  stream->device = device();
  stream->blocking = blocking;
  all_streams_.push_back(stream);
  return stream;
}

std::shared_ptr<Stream> Runtime::LegacyStream() {
  std::shared_ptr<Stream>& stream = legacy_[device()];
  if (stream == nullptr) stream = NewStream(true);
  return stream;
}

std::shared_ptr<Stream> Runtime::FindStream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return LegacyStream();
  return streams.Find(handle);
}

cudaError_t Runtime::Enqueue(const std::shared_ptr<Stream>& stream, OperationPtr operation) {
  if (stream->capture != nullptr) {
    if (stream->capture->invalidated) return cudaErrorStreamCaptureInvalidated;
    stream->capture->nodes.push_back({std::move(operation), stream->tails});
    stream->tails = {stream->capture->nodes.size() - 1};
    return cudaSuccess;
  }
  const std::shared_ptr<Stream> legacy = LegacyStream();
  if (stream == legacy) {
    for (const auto& other : all_streams_) {
      if (!other->blocking || other->device != stream->device || other == stream) continue;
      if (other->capture != nullptr) {
        return Invalidate(*other->capture, cudaErrorStreamCaptureImplicit);
      }
      if (other->queued > other->completed) EnqueueWait(stream, {other, other->queued});
    }
  } else if (stream->blocking && legacy->queued > legacy->completed) {
    EnqueueWait(stream, {legacy, legacy->queued});
  }
  stream->queue.push_back({std::move(operation), {}});
  ++stream->queued;
  return cudaSuccess;
}

cudaError_t Runtime::EnqueueWait(const std::shared_ptr<Stream>& stream, const Position& position) {
  stream->queue.push_back({nullptr, position});
  ++stream->queued;
  return cudaSuccess;
}

std::shared_ptr<Stream> Runtime::Runnable(std::shared_ptr<Stream> stream) {
  // Waits refer to what was queued before them, so this comes to an end.
  while (!stream->queue.front().wait.Passed()) stream = stream->queue.front().wait.stream;
  return stream;
}

std::shared_ptr<Stream> Runtime::Awkward(const std::shared_ptr<Stream>& wanted) {
  if (settings.order == kLatest) return Runnable(wanted);
  std::vector<std::shared_ptr<Stream>> ready;
  for (const auto& stream : all_streams_) {
    if (!stream->queue.empty() && stream->queue.front().wait.Passed()) ready.push_back(stream);
  }
  if (settings.order != kOthersFirst) return ready[Random(ready.size())];
  for (const auto& stream : ready) {
    if (stream != wanted) return stream;
  }
  return wanted;
}

void Runtime::RunFront(Stream& stream) {
  const Entry entry = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (entry.operation != nullptr) Execute(*entry.operation);
  if (stream.completed < stream.queued) ++stream.completed;  // equal if the device failed
}

cudaError_t Runtime::RunUntil(const Position& position) {
  const DeviceMemory::Access access(memory);
  while (sticky_ == cudaSuccess && !position.Passed()) RunFront(*Awkward(position.stream));
  return sticky_;
}

cudaError_t Runtime::RunAll() {
  const DeviceMemory::Access access(memory);
  // Latest: the stream that was made last is the first.
  for (size_t i = all_streams_.size(); i-- > 0;) {
    if (all_streams_[i]->device != device()) continue;
    RunUntil({all_streams_[i], all_streams_[i]->queued});
  }
  std::erase_if(all_streams_, [](const auto& s) { return s->destroyed && s->queue.empty(); });
  return sticky_;
}

cudaError_t Runtime::RunOne(const std::shared_ptr<Stream>& stream) {
  const DeviceMemory::Access access(memory);
  if (!stream->queue.empty()) RunFront(*Awkward(stream));
  return sticky_;
}

void Runtime::Execute(const Operation& operation) {
  if (sticky_ != cudaSuccess) return;
  if (counters.operations >= settings.lose_after) {
    SetSticky(settings.lost_error, "the device was lost");
    return;
  }
  ++counters.operations;
  ++clock_us;
  const Outcome outcome = operation.run();
  if (sticky_ != cudaSuccess) return;  // of a graph's node
  if (outcome.error != cudaSuccess) {
    SetSticky(outcome.error, operation.name + ": " + outcome.text);
    return;
  }
  const std::string guards = memory.CheckGuards();
  if (!guards.empty()) SetSticky(cudaErrorIllegalAddress, operation.name + " " + guards);
}

void Runtime::SetSticky(cudaError_t error, const std::string& text) {
  sticky_ = error;
  sticky_text_ = text;
  DropQueues();
}

void Runtime::DropQueues() {
  for (const auto& stream : all_streams_) {
    stream->queue.clear();
    stream->completed = stream->queued;
  }
}

std::vector<std::string> Runtime::Reset(const Settings& new_settings) {
  std::vector<std::string> found = std::move(problems);
  problems.clear();
  const size_t objects = streams.size() + events.size() + graphs.size() + execs.size();
  if (memory.blocks().size() + pinned.count() + objects + library_objects > 0) {
    found.push_back("left behind: " + std::to_string(memory.blocks().size()) + " allocations, " +
                    std::to_string(pinned.count()) + " of pinned memory, " +
                    std::to_string(objects) + " streams, events and graphs, " +
                    std::to_string(library_objects) + " objects of libraries");
  }
  DropQueues();
  for (const auto& stream : all_streams_) stream->capture.reset();  // which refers to the stream
  all_streams_.clear();
  legacy_.clear();
  captures.clear();
  streams.Clear();
  events.Clear();
  graphs.Clear();
  execs.Clear();
  library_objects = 0;
  memory.Clear(found);
  pinned.Clear();
  failures.clear();
  calls.clear();
  counters = {};
  clock_us = 0;
  sticky_ = cudaSuccess;
  sticky_text_.clear();
  settings = new_settings;
  for (const CallFailure& f : settings.failures) failures[f.function].push_back({f.nth, f.error});
  memory.Configure(settings.protect, settings.guard_pages);
  random_.seed(settings.order);
  ++epoch_;
  return found;
}

}  // namespace cliptag::standin
