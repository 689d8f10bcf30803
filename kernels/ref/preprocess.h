// Frames to the model's input, naively: what every backend's Preprocess must equal. 8-bit RGB and
// gray pictures come out as PIL's resize would make them, bit for bit before the normalisation;
// everything else is resampled in double precision, component by component, and converted to RGB at
// the target's pixels.
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
