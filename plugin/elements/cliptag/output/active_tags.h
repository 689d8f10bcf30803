// Tags whose start has been posted and whose end has not, so that a stream that ends in between can
// end them.
//
// Thread safety: used by one thread at a time.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag {

class ActiveTags {
 public:
  void Follow(const InferenceResult& result);
  // The end of each of them, at the time at which it was last seen. None is active then.
  std::vector<TagEvent> End();

 private:
  struct Key {
    std::string label;
    bool of_object = false;
    int64_t track = -1;
    auto operator<=>(const Key&) const = default;
  };
  struct Active {
    uint64_t since_ns = 0;
    double peak = 0, last = 0;
    int64_t id = -1;
    Moment seen;
  };
  std::map<Key, Active> tags_;
};

}  // namespace cliptag
