// What `cliptag bench` can time: the parts of the way from raw frames to tags, each as a call that
// does a whole batch of it. Also used by `cliptag models info`.
//
// Ownership: a stage borrows the model. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/base/status.h"
#include "models/clip_model.h"

namespace cliptag {

struct BenchShape {
  int batch = 1;
  std::string format = "NV12";  // of GStreamer, for the stages that begin with raw frames
  int width = 1920, height = 1080;
};

// What frames are tagged with, where it is no matter of measuring.
inline constexpr char kBenchPrompts[] =
    "person; dog; cat; car; bus; truck; bicycle; motorcycle; bird; tree; house; fire; boat; "
    "airplane; train; umbrella";

class BenchStage {
 public:
  virtual ~BenchStage() = default;
  // The whole of the stage, up to the result; `i` counts the calls and rotates the inputs.
  virtual Status Run(int64_t i) = 0;
};

// `name`: encode, preprocess, text or all. Sets up what the stage needs.
Result<std::unique_ptr<BenchStage>> MakeBenchStage(const std::string& name, ClipModel& model,
                                                   const BenchShape& shape);

}  // namespace cliptag
