// The checks of Preprocess's arguments, the same for every backend, so that its loops need none.
// Host code.
//
// Thread safety: pure functions.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// The crop, or the whole frame if none is set.
Rect CropOf(const FrameView& view);

// Samples of component `index` in a row, and in a column, of the whole frame.
int SamplesX(const FrameView& view, int index);
int SamplesY(const FrameView& view, int index);

// How many components are read: 1 for kGray, else 3.
inline int ComponentCount(const FrameView& view) { return view.kind == PixelKind::kGray ? 1 : 3; }

Status CheckFrame(const FrameView& view);
Status CheckSpec(const PreprocessSpec& spec);

// Checks all; the message names the frame. The backend checks `out.type`. `cuda_memory`: whether
// the backend can read frames in CUDA memory.
Status CheckFrames(std::span<const FrameView> frames, const PreprocessSpec& spec, const Matrix& out,
                   bool cuda_memory = false);

}  // namespace cliptag
