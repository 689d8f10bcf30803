// Brings a model from a hub into the user's cache, where its name finds it:
// ~/.cache/cliptag/models.
//
// Files gather in a hidden directory beside, which takes the model's name when all of them are
// there and checked; until then the name stands for what it stood for before. Whatever ends a pull,
// the next one goes on where it ended. One process at a time works on a name; others wait.
//
// Thread safety: any thread, one call for itself; the observer hears from that thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct PullRequest {
  std::string id;                           // "ORG/NAME" or "ORG/NAME@REVISION"
  std::string name;                         // what it will be called here; empty = NAME
  bool look_only = false;                   // ask what there is and take nothing
  const std::atomic<bool>* stop = nullptr;  // borrowed; ends the pull soon after it is set
};

// Where the bytes of a file came from.
enum class PullSource { kHub, kEarlier, kHuggingFaceCache };

class PullObserver {
 public:
  virtual ~PullObserver() = default;
  virtual void Said(const std::string& sentence) = 0;  // something has to be waited for
  // `bytes` of `total` of a file are there.
  virtual void Advanced(const std::string& file, int64_t bytes, int64_t total) = 0;
  virtual void Took(const std::string& file, int64_t bytes, PullSource source) = 0;
};

struct PulledModel {
  std::string id, revision, commit;
  std::string name, directory;
  bool was_there = false;                              // the same commit, whole: nothing was done
  std::vector<std::pair<std::string, int64_t>> files;  // name, bytes (-1: not known before)
};

Result<PulledModel> PullModel(const PullRequest& request, PullObserver* observer);

}  // namespace cliptag
