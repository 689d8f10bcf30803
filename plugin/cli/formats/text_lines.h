// The lines of a text file that a user has written, for whatever reads them one by one.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct TextLine {
  int number = 0;  // from 1
  std::string text;
};

// All lines, without a byte order mark before the first. `what` is the file in an error's words:
// "cannot read the WHAT: …".
Result<std::vector<TextLine>> ReadTextLines(const std::string& path, const std::string& what);

}  // namespace cliptag
