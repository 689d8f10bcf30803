// What streams, events, captures and graphs are made of.
//
// Ownership: shared, since queues refer to streams and events that the host has destroyed by then.
// Threads: guarded by the mutex of Runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace cliptag::standin {

// How an operation ended; what makes `error` not cudaSuccess is sticky.
struct Outcome {
  cudaError_t error = cudaSuccess;
  std::string text;
};

// Work for the device, its arguments by value. Graphs run it more than once.
struct Operation {
  std::string name;
  std::function<Outcome()> run;
};
using OperationPtr = std::shared_ptr<const Operation>;

struct Stream;

// A place in a stream's order: what has been queued there so far.
struct Position {
  std::shared_ptr<Stream> stream;  // null: passed from the beginning
  uint64_t count = 0;
  bool Passed() const;
};

// One of both: work, or waiting for a place in another stream.
struct Entry {
  OperationPtr operation;
  Position wait;
};

// Part of a graph; runs after those that `after` gives the indices of.
struct Node {
  OperationPtr operation;
  std::vector<size_t> after;
};

struct Capture {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  std::shared_ptr<Stream> origin;
  std::vector<Node> nodes;
  bool invalidated = false;
  bool ended = false;
};

struct Stream {
  int device = 0;
  bool blocking = true;  // waits for the legacy stream, and that for it
  bool destroyed = false;
  std::deque<Entry> queue;
  uint64_t queued = 0, completed = 0;
  std::shared_ptr<Capture> capture;
  std::vector<size_t> tails;  // while capturing: nodes that the next one comes after
};

inline bool Position::Passed() const { return stream == nullptr || stream->completed >= count; }

struct Event {
  int device = 0;
  unsigned flags = 0;
  bool recorded = false;
  Position position;
  std::shared_ptr<Capture> capture;  // if it was last recorded in one
  std::vector<size_t> nodes;
  std::shared_ptr<uint64_t> time;  // of the last record that ran, on Runtime::clock_us
};

struct Graph {
  std::vector<Node> nodes;
};

struct GraphExec {
  std::shared_ptr<const std::vector<Node>> nodes;
  int device = 0;
  Position last;  // a launch waits for the one before
};

// Objects behind handles that are no addresses and are never used twice.
template <typename Opaque, typename T>
class Handles {
 public:
  explicit Handles(uintptr_t kind) : next_((uintptr_t{1} << 62) + (kind << 48)) {}

  Opaque* Add(std::shared_ptr<T> object) {
    next_ += 64;
    auto* handle = reinterpret_cast<Opaque*>(next_);
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  // Null if there is no such object, or no longer.
  std::shared_ptr<T> Find(Opaque* handle) const {
    const auto it = objects_.find(handle);
    return it == objects_.end() ? nullptr : it->second;
  }
  bool Remove(Opaque* handle) { return objects_.erase(handle) != 0; }
  size_t size() const { return objects_.size(); }
  void Clear() { objects_.clear(); }
  const std::unordered_map<Opaque*, std::shared_ptr<T>>& objects() const { return objects_; }

 private:
  uintptr_t next_;
  std::unordered_map<Opaque*, std::shared_ptr<T>> objects_;
};

}  // namespace cliptag::standin
