// The readers of files that come from strangers, as a fuzzer drives them: libFuzzer itself
// (libfuzzer.cc), or the few hundred changes to good files of every test run (driver.cc).
//
// Thread safety: one thread. What a reader wants as files is written into a folder of the process.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct FuzzTarget {
  std::string_view name;
  // Reads the bytes as such a file, and then uses what was read as a model or an engine would;
  // an error where they are refused. What must not be, whatever the bytes are, ends the process.
  Status (*read)(std::string_view bytes);
  // Files of this kind that are good, as small as may be.
  std::vector<std::string> (*seeds)();
};

std::span<const FuzzTarget> FuzzTargets();
const FuzzTarget* FindFuzzTarget(std::string_view name);  // null where there is none

// Ends the process with these words unless `holds`; a fuzzer then keeps the bytes.
void Require(bool holds, const char* what);
// A refusal says why.
void RequireReason(const Status& status);
// The refusal, with its reason.
Status Refused(const Status& status);

// A folder for the files of one target, empty at first, removed when the process ends well.
class FuzzFolder {
 public:
  FuzzFolder();
  ~FuzzFolder();
  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }
  void Write(std::string_view name, std::string_view content) const;

  // Several files in one text: a line "=== NAME" begins each, and what is before the first of
  // these lines is the first of `names`. Whatever has none of these names is left out. Those that
  // the text lacks are removed from the folder; returns how many it has.
  int WriteParts(std::string_view text, std::span<const std::string_view> names) const;

 private:
  std::string path_;
};
std::string Part(std::string_view name, std::string_view content);

// A file of the source tree; ends the process where it cannot be read.
std::string ReadSource(const std::string& path);

}  // namespace cliptag
