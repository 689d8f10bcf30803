// Pictures and videos to embeddings, in batches that may span files, in the order of the files.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "models/clip_model.h"
#include "plugin/cli/options.h"

namespace cliptag {

struct EncodedFrame {
  const std::string& file;
  const FrameView& view;             // its pixels, until the handler returns
  std::optional<double> time_s;      // none: a picture
  std::span<const float> embedding;  // (dim), unit length
};

struct EncodeHandlers {
  // Called in order; an error ends it all. May use the encoder itself.
  std::function<Status(const EncodedFrame&)> frame;
  // A file that cannot be read, or not to its end. An error ends it all; OK goes on with the next.
  std::function<Status(const std::string& file, const Status& why)> bad_file;
};

// Sets the image encoder up for `input.batch` and runs every frame through it.
Status EncodeFiles(ClipModel& model, const InputOptions& input, const EncodeHandlers& handlers);

}  // namespace cliptag
