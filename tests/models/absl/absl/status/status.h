// As much of absl's status as newer versions of sentencepiece answer with.
#pragma once

#include <string_view>

namespace absl {

class Status {
 public:
  bool ok() const { return true; }
  std::string_view message() const { return ""; }
};

}  // namespace absl
