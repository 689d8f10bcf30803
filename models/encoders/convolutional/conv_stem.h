// The stem of MobileCLIP-B's vision transformer: a patch of 16 pixels becomes a token by three
// convolutions whose windows lie side by side, of 4 pixels, then of 2, then of 2 again, with batch
// norms and GELU between them. So each is a product, if the pixels of a window lie in one row: the
// patches of 4 pixels are gathered in the order of the tokens that they belong to, four by four,
// and four rows of a product's result are then one row of the next one's input.
//
// Ownership: borrows the Backend; owns its packed weights. Used by the Backend's thread.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/convolutional/resnet_tensors.h"
#include "models/weights/weights.h"

namespace cliptag {

struct ConvStemTensors {
  NormedConvolutionTensors conv1, conv2;  // (width / 4, 3, 4, 4), (width / 4, width / 4, 2, 2)
  HostTensor conv3, bias;                 // (width, width / 4, 2, 2), (width)
};

Result<ConvStemTensors> GetConvStemTensors(const Weights& weights, const VitConfig& config);

class ConvStem {
 public:
  struct Scratch {
    Matrix gathered;  // (batch * tokens * 16, columns of a patch) compute_type
    Matrix quarter;   // (batch * tokens * 16, width / 4) compute_type
    Matrix half;      // (batch * tokens * 4, width / 4) compute_type
  };

  // `columns`: of the prepared rows of a patch of 4 pixels.
  static Result<std::unique_ptr<ConvStem>> Load(Backend& backend, const VitConfig& config,
                                                int64_t columns, const ConvStemTensors& tensors);

  // The order of the patches of that many pictures.
  Status Setup(int max_batch);
  // Plans the products of a run.
  Status Prepare(int batch) const;
  Scratch Plan(Arena* arena, int64_t batch) const;

  // pixels: (batch * patches of 4 pixels, columns), to tokens: (batch * tokens, width) f32.
  Status Run(const Matrix& pixels, const Scratch& scratch, const Matrix& tokens) const;

 private:
  ConvStem(Backend& backend, const VitConfig& config, int64_t columns)
      : backend_(backend),
        side_(config.image_size / config.pixel_patch()),
        tokens_(config.patches()),
        width_(config.transformer.width),
        columns_(columns) {}

  Backend& backend_;
  const int64_t side_;  // patches of 4 pixels along a picture's edge
  const int64_t tokens_, width_, columns_;
  std::unique_ptr<Linear> conv1_, conv2_, conv3_;
  std::unique_ptr<Memory> rows_;  // int32: which prepared row each gathered one is
};

}  // namespace cliptag
