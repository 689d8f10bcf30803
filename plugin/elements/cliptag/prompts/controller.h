// The prompts of one element, from its properties and its prompts file to the engine.
//
// A change is read at once; if it is wrong it is refused, and the properties stay as they were.
// Then its pictures are decoded, which may take long, on a thread of GStreamer's; what is wrong
// with them or with the encoding is reported later, and the old prompts stay in use. A newer change
// ends an older one at each of these steps.
//
// Thread safety: every method may be called from any thread. Files are read and pictures are
// decoded without a lock; the host is called without one, except where it says so.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "models/prompts/prompts.h"
#include "plugin/elements/cliptag/prompts/file_watch.h"
#include "plugin/elements/cliptag/settings.h"

namespace cliptag {

class PromptsController {
 public:
  // The element. While it runs, it outlives the calls that it is given in CallLater().
  class Host {
   public:
    virtual ~Host() = default;
    // To the engine, whose answer goes to OnEncoded(). With the controller's lock held.
    virtual void Encode(PromptSpec spec) = 0;
    // Runs it on another thread. May be called with a lock held.
    virtual void CallLater(std::function<void()> call) = 0;
    // The first prompts cannot be encoded: the stream ends.
    virtual void PromptsFailed(const Status& status) = 0;
    // Other prompts cannot be used: those in use stay.
    virtual void PromptsRefused(const Status& status) = 0;
    // The engine has taken them; `others`: in the place of earlier ones.
    virtual void PromptsTaken(const PromptBank& bank, bool others) = 0;
    // Wakes what waits for a state.
    virtual void PromptsStateChanged() = 0;
  };

  // What a start needs, read before anything else is made.
  struct First {
    PromptSource settings;
    FileWatch::Stamp stamp;  // of the prompts file, before it was read
    PromptSpec spec;
  };

  enum class State {
    kNone,
    kEncoding,  // the first ones
    kReady,
    kFailing,  // the first ones cannot be encoded; it has not been reported yet
    kFailed,
  };

  explicit PromptsController(Host* host) : host_(host) {}

  PromptSource settings() const;
  State state() const { return state_; }

  Result<First> Read() const;  // pictures included
  // From here to Stop() changes go to the engine.
  void Start(First first);
  void Stop();
  // `change` edits the settings, perhaps more than once. What is wrong with them is reported before
  // this returns if the element runs, and at the start if it does not.
  void Change(const std::function<void(PromptSource&)>& change);
  // On the engine's worker, which serves other elements too.
  void OnEncoded(Status status, std::shared_ptr<const PromptBank> bank);

 private:
  struct Version {
    PromptSource settings;
    uint64_t number = 0;
    bool running = false;
  };
  Version Now() const;
  bool IsWanted(uint64_t number) const;
  std::unique_ptr<FileWatch> Watch(const PromptSource& settings, FileWatch::Stamp seen);
  void OnFile(FileWatch::Change change);
  // False if there are newer ones than `begun` by now. `settings` are null if they have not
  // changed.
  bool Take(const Version& begun, PromptSpec spec, const PromptSource* settings,
            FileWatch::Stamp seen);
  void Decode(uint64_t number, PromptSpec spec);

  Host* const host_;
  mutable std::mutex mutex_;
  Version now_;                       // guarded by mutex_; its number counts changes and stops
  std::unique_ptr<FileWatch> watch_;  // guarded by mutex_
  std::atomic<State> state_{State::kNone};
};

}  // namespace cliptag
