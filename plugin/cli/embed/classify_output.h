// What `cliptag classify` prints, frame after frame, so that a long video shows what is known so
// far: a table for people, or JSON, JSON lines or CSV for programs. One thread.
#pragma once

#include <span>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {

enum class ClassifyFormat : uint8_t { kTable, kJson, kJsonLines, kCsv };

class ClassifyPrinter {
 public:
  explicit ClassifyPrinter(ClassifyFormat format) : format_(format) {}

  Status Frame(const EncodedFrame& frame, std::span<const Tag> tags);
  // Also after an error: what was printed is to be read by a program.
  Status End();

 private:
  const ClassifyFormat format_;
  bool first_ = true;
};

}  // namespace cliptag
