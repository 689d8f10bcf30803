// Where a frame's components are sampled: the resampling axes of each, and the samples that
// Preprocess reads: the part of the crop that the fit keeps, and what the filter reaches around it.
// Code that copies frames to other memory copies only these: 56 % of a 1080p frame with its centre
// cropped.
//
// Thread safety: pure functions.
#pragma once

#include "kernels/frame.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/resample.h"

namespace cliptag {

struct FrameGeometry {
  Rect crop;
  AxisMap map;
  FitGeometry fit;  // of the upright picture
};

// Of a frame that CheckFrame accepts.
inline FrameGeometry GeometryOf(const FrameView& view, const PreprocessSpec& spec) {
  const Rect crop = CropOf(view);
  const AxisMap map = MapAxes(view.orientation);
  const int used = spec.size / spec.patch * spec.patch;
  return {crop, map,
          FitCrop(crop.width, crop.height, view.pixel, map.swap, spec.size, used, spec.fit)};
}

// The axes of one component: along the stored rows (x), and down them (y).
struct StoredAxes {
  ResampleAxis x, y;
};

inline StoredAxes AxesOf(const FrameView& view, int index, const PreprocessSpec& spec) {
  const auto [crop, map, fit] = GeometryOf(view, spec);
  const bool chroma = view.kind == PixelKind::kYuv && index > 0;
  return {MakeAxis(crop.x, crop.width, chroma ? view.chroma_shift_x : 0, view.chroma_cosited_x,
                   map.flip_x, map.swap ? fit.y : fit.x, spec.interpolation),
          MakeAxis(crop.y, crop.height, chroma ? view.chroma_shift_y : 0, view.chroma_cosited_y,
                   map.flip_y, map.swap ? fit.x : fit.y, spec.interpolation)};
}

// The samples of one axis that targets begin .. end - 1 read, as stored.
struct SampleSpan {
  int first = 0, count = 0;
};
inline SampleSpan SamplesUnder(const ResampleAxis& axis) {
  const ResampleWindow last = WindowAt(axis, axis.end - 1);
  const int begin = WindowAt(axis, axis.begin).first, end = last.first + last.count;
  return {axis.flip ? axis.first + axis.samples - end : axis.first + begin, end - begin};
}

// Of component `index`, in samples (not pixels) of the stored plane.
inline Rect NeededSamples(const FrameView& view, int index, const PreprocessSpec& spec) {
  const StoredAxes axes = AxesOf(view, index, spec);
  const SampleSpan x = SamplesUnder(axes.x), y = SamplesUnder(axes.y);
  return {x.first, y.first, x.count, y.count};
}

}  // namespace cliptag
