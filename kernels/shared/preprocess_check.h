// What Preprocess asks of its arguments, checked once for every backend, so that their loops need
// no checks of their own. Host code.
//
// Thread safety: pure functions.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// The crop, or the whole frame where none is set.
Rect CropOf(const FrameView& view);

// Samples of component `index` in a row and in a column of the whole frame.
int SamplesX(const FrameView& view, int index);
int SamplesY(const FrameView& view, int index);

// How many components are read: 1 for kGray, else 3.
inline int ComponentCount(const FrameView& view) { return view.kind == PixelKind::kGray ? 1 : 3; }

Status CheckFrame(const FrameView& view);
Status CheckSpec(const PreprocessSpec& spec);

// All of it; the message names the frame. `out.type` is the backend's own matter. `cuda_memory`:
// whether the backend can read frames that lie there.
Status CheckFrames(std::span<const FrameView> frames, const PreprocessSpec& spec, const Matrix& out,
                   bool cuda_memory = false);

}  // namespace cliptag
