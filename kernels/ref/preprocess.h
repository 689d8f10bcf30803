// The reference implementation of Preprocess, which every backend must match. 8-bit RGB and gray
// pictures equal PIL's resize bit for bit before the normalisation. Other formats are resampled in
// double precision, component by component, and converted to RGB at the target pixels.
//
// Ownership: borrows the frames and the output until it returns. Thread safety: pure function.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// out: f32 (frames * patches, 3 * patch * patch), laid out as Backend::Preprocess says.
Status RefPreprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                     const Matrix& out);

}  // namespace cliptag
