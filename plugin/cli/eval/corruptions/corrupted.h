// The embeddings of a picture in every kind and strength of corruption.
//
// A picture is decoded once, for its own embedding and for all of these; they are made while it is
// in memory and not kept. Thread safety: one thread calls; it makes them on threads of its own.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/clip_model.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/eval/measures/result.h"

namespace cv {
class Mat;
}

namespace cliptag {

class CorruptedPictures {
 public:
  // `pictures`: how many there will be, for the progress line.
  CorruptedPictures(ClipModel& model, const EvalOptions& options, size_t pictures);

  int versions() const;  // of each picture: kinds, each in its strengths
  // Makes and encodes all of them, and writes them where --dump-corruptions says. The frame is of
  // a picture file.
  Status Encode(const EncodedFrame& frame);
  std::span<const float> embedding(int version) const;  // of the last picture

 private:
  Status Dump(const std::string& name, int version, const cv::Mat& picture) const;

  ClipModel& model_;
  const EvalOptions& options_;
  const size_t pictures_;
  size_t done_ = 0;
  double begin_ms_ = 0;
  Progress progress_;
  std::vector<float> embeddings_;  // (versions, dim)
};

}  // namespace cliptag
