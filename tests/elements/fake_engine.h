// An Engine for tests of the elements: no model, answers as the test says, remembers what it was
// asked. Linked in place of plugin/engine, so that a test decides when an answer comes and what it
// is.
//
// Thread safety: every method of FakeControl may be called from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag {

// Labels that the fake treats in a special way.
inline constexpr char kUnencodable[] = "unencodable";  // SetPrompts fails
inline constexpr char kTooLong[] = "too long";         // is reported as cut

class FakeControl {
 public:
  struct Seen {
    FrameView view;  // its pixels are gone
    Fit fit;
    Moment at;
    uint64_t frame_number, batch_timeout_ns;
    int luma_like;  // the first sample of component 0, read while the pixels were there; -1: CUDA
    bool tiles;
    int tile_rows;
    Regions regions;
    std::vector<ObjectRegion> objects;
    bool replace;
  };
  using Score = std::function<double(const std::string& label, uint64_t frame)>;

  static FakeControl& Get();
  void Reset();  // before each test

  // What the next engine is like.
  int max_batch = 4;
  uint64_t expected_latency_ns = 3'000'000;
  Status create_status;
  BackendKind backend_kind = BackendKind::kRef;
  std::vector<std::string> model_warnings;
  bool throws_at_stream = false, throws_at_prompts = false;  // a start that fails half way

  // All below may change while an engine runs.
  void SetScore(Score score);
  void SetLatency(std::chrono::milliseconds latency);  // per batch
  void SetInferStatus(Status status);
  void Hold();     // no batch begins…
  void Release();  // …until now
  void HoldPrompts();
  void ReleasePrompts();
  void SetExpectedLatency(uint64_t ns);

  std::vector<Seen> seen() const;    // but for those that are still
  std::vector<Seen> stills() const;  // which are answered like the last one before them
  size_t answered() const;
  size_t cancelled() const;
  std::vector<size_t> batches() const;  // sizes, in order
  std::vector<std::string> labels() const;
  PromptSpec spec() const;
  PolicyOptions policy() const;
  EngineOptions options() const;
  int engines_alive() const;
  int streams_alive() const;
  int prompts_set() const;

 private:
  friend class FakeStream;
  friend class FakeEngine;
  friend class Engine;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Score score_;
  std::chrono::milliseconds latency_{0};
  Status infer_status_;
  bool hold_ = false, hold_prompts_ = false;
  std::vector<Seen> seen_, stills_;
  size_t answered_ = 0, cancelled_ = 0;
  std::vector<size_t> batches_;
  PromptSpec spec_;
  PolicyOptions policy_;
  EngineOptions options_;
  int engines_ = 0, streams_ = 0, prompts_set_ = 0;
};

}  // namespace cliptag
