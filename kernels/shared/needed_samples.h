// Which samples of a frame Preprocess looks at: the part of the crop that the fit keeps and what
// the filter reaches around it. Whoever brings frames to another memory brings these alone: of a
// 1080p frame with its centre cropped, 56 %.
//
// Thread safety: pure functions.
#pragma once

#include "kernels/frame.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/resample.h"

namespace cliptag {

// The samples of one edge that targets begin .. end - 1 read, as stored.
struct SampleSpan {
  int first = 0, count = 0;
};
inline SampleSpan SamplesUnder(const ResampleAxis& axis) {
  const ResampleWindow last = WindowAt(axis, axis.end - 1);
  const int begin = WindowAt(axis, axis.begin).first, end = last.first + last.count;
  return {axis.flip ? axis.first + axis.samples - end : axis.first + begin, end - begin};
}

// Of component `index` of a frame that CheckFrame accepts: samples, not pixels, of the stored
// plane.
inline Rect NeededSamples(const FrameView& view, int index, const PreprocessSpec& spec) {
  const Rect crop = CropOf(view);
  const AxisMap map = MapAxes(view.orientation);
  const bool chroma = view.kind == PixelKind::kYuv && index > 0;
  const FitGeometry fit = FitCrop(crop.width, crop.height, view.pixel, map.swap, spec.size,
                                  spec.size / spec.patch * spec.patch, spec.fit);
  const SampleSpan x = SamplesUnder(MakeAxis(crop.x, crop.width, chroma ? view.chroma_shift_x : 0,
                                             view.chroma_cosited_x, map.flip_x,
                                             map.swap ? fit.y : fit.x, spec.interpolation));
  const SampleSpan y = SamplesUnder(MakeAxis(crop.y, crop.height, chroma ? view.chroma_shift_y : 0,
                                             view.chroma_cosited_y, map.flip_y,
                                             map.swap ? fit.x : fit.y, spec.interpolation));
  return {x.first, y.first, x.count, y.count};
}

}  // namespace cliptag
