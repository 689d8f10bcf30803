#include "kernels/shared/preprocess_check.h"

#include <cmath>
#include <cstdlib>
#include <string>

#include "kernels/base/concat.h"
#include "kernels/base/divide_up.h"

namespace cliptag {
namespace {

// With these, edge * pixel stride * block of rows fits 32 bits, and edge * side of a pixel *
// model's size fits 64.
constexpr int kMaxEdge = 1 << 20;
constexpr int kMaxSize = 1 << 16;
constexpr int kMaxPixelStride = 64;

std::string Size(int64_t width, int64_t height) { return Concat(width, "x", height); }

Status CheckLayout(const FrameView& view) {
  if (view.bytes_per_sample != 1 && view.bytes_per_sample != 2) {
    return InvalidArgument(
        Concat("bytes_per_sample is ", view.bytes_per_sample, "; it must be 1 or 2"));
  }
  if (view.bits < 1 || view.shift < 0 || view.bits + view.shift > 8 * view.bytes_per_sample) {
    return InvalidArgument(Concat(view.bits, " bits shifted by ", view.shift,
                                  " do not fit a sample of ", view.bytes_per_sample, " bytes"));
  }
  constexpr int kMaxShift = 4;
  if (view.chroma_shift_x < 0 || view.chroma_shift_x > kMaxShift || view.chroma_shift_y < 0 ||
      view.chroma_shift_y > kMaxShift) {
    return InvalidArgument(Concat("chroma subsampling shifts of ", view.chroma_shift_x, " and ",
                                  view.chroma_shift_y, " are outside 0..", kMaxShift));
  }
  return {};
}

Status CheckComponent(const FrameView& view, int index) {
  const Component& component = view.component[index];
  const std::string name = Concat("component ", index);
  if (component.data == nullptr) return InvalidArgument(name + " has no data");
  if (component.pixel_stride < view.bytes_per_sample ||
      component.pixel_stride % view.bytes_per_sample != 0) {
    return InvalidArgument(Concat(name, " has a pixel stride of ", component.pixel_stride,
                                  " bytes; it must be a positive multiple of the sample's ",
                                  view.bytes_per_sample));
  }
  if (component.pixel_stride > kMaxPixelStride) {
    return InvalidArgument(Concat(name, " has a pixel stride of ", component.pixel_stride,
                                  " bytes; the most is ", kMaxPixelStride));
  }
  const int64_t row_bytes =
      static_cast<int64_t>(SamplesX(view, index) - 1) * component.pixel_stride +
      view.bytes_per_sample;
  if (SamplesY(view, index) > 1 && std::llabs(component.row_stride) < row_bytes) {
    return InvalidArgument(Concat(name, " has a row stride of ", component.row_stride,
                                  " bytes; a row takes ", row_bytes));
  }
  return {};
}

}  // namespace

Rect CropOf(const FrameView& view) {
  return view.crop.width == 0 ? Rect{0, 0, view.width, view.height} : view.crop;
}

int SamplesX(const FrameView& view, int index) {
  if (index == 0 || view.kind != PixelKind::kYuv) return view.width;
  return static_cast<int>(DivideUp(view.width, 1 << view.chroma_shift_x));
}

int SamplesY(const FrameView& view, int index) {
  if (index == 0 || view.kind != PixelKind::kYuv) return view.height;
  return static_cast<int>(DivideUp(view.height, 1 << view.chroma_shift_y));
}

Status CheckFrame(const FrameView& view) {
  if (view.kind > PixelKind::kGray || view.matrix > YuvMatrix::kFcc ||
      view.transfer > Transfer::kHlg || view.primaries > Primaries::kBt2020 ||
      view.orientation > Orientation::kFlipRotate270) {
    return InvalidArgument(
        "the pixel kind, matrix, transfer, primaries or orientation is not one of its enumeration");
  }
  if (view.width <= 0 || view.height <= 0) {
    return InvalidArgument("its size is " + Size(view.width, view.height) +
                           "; both must be at least 1");
  }
  if (view.width > kMaxEdge || view.height > kMaxEdge) {
    return InvalidArgument(Concat("its size is ", Size(view.width, view.height), "; the most is ",
                                  kMaxEdge, " pixels an edge"));
  }
  const Rect crop = CropOf(view);
  if (crop.x < 0 || crop.y < 0 || crop.width <= 0 || crop.height <= 0 ||
      crop.x > view.width - crop.width || crop.y > view.height - crop.height) {
    return InvalidArgument(Concat("the crop of ", Size(crop.width, crop.height), " at (", crop.x,
                                  ", ", crop.y, ") is not inside its ",
                                  Size(view.width, view.height)));
  }
  const PixelAspect& pixel = view.pixel;
  if (pixel.width < 1 || pixel.height < 1 || pixel.width > PixelAspect::kMost ||
      pixel.height > PixelAspect::kMost) {
    return InvalidArgument(Concat("its pixel aspect ratio is ", pixel.width, ":", pixel.height,
                                  "; both must be from 1 to ", PixelAspect::kMost));
  }
  CLIPTAG_RETURN_IF_ERROR(CheckLayout(view));
  for (int i = 0; i < ComponentCount(view); ++i) {
    CLIPTAG_RETURN_IF_ERROR(CheckComponent(view, i));
  }
  return {};
}

Status CheckSpec(const PreprocessSpec& spec) {
  if (spec.size <= 0 || spec.patch <= 0 || spec.patch > spec.size) {
    return InvalidArgument(
        Concat("an input of ", spec.size, " pixels has no patches of ", spec.patch));
  }
  if (spec.size > kMaxSize) {
    return InvalidArgument(
        Concat("an input of ", spec.size, " pixels is too large; the most is ", kMaxSize));
  }
  if (spec.fit != Fit::kCrop && spec.fit != Fit::kSquash && spec.fit != Fit::kLetterbox) {
    return InvalidArgument("fit must be crop, squash or letterbox");
  }
  if (spec.interpolation > Interpolation::kBilinear) {
    return InvalidArgument("interpolation must be bicubic or bilinear");
  }
  for (int c = 0; c < 3; ++c) {
    if (!std::isfinite(spec.mean[c]) || !std::isfinite(spec.fill[c]) ||
        !std::isfinite(spec.std[c]) || spec.std[c] == 0) {
      return InvalidArgument(
          Concat("mean, std and fill of channel ", c, " must be finite, and std not 0"));
    }
  }
  return {};
}

Status CheckFrames(std::span<const FrameView> frames, const PreprocessSpec& spec, const Matrix& out,
                   bool cuda_memory) {
  CLIPTAG_RETURN_IF_ERROR(CheckSpec(spec));
  const int64_t grid = spec.size / spec.patch;
  const int64_t rows = static_cast<int64_t>(frames.size()) * grid * grid;
  const int64_t cols = int64_t{3} * spec.patch * spec.patch;
  if (out.rows != rows || out.cols != cols || out.stride < cols) {
    return InvalidArgument(Concat("the output of Preprocess is ", Size(out.rows, out.cols),
                                  " with a stride of ", out.stride, "; ", frames.size(),
                                  " frames need ", Size(rows, cols)));
  }
  if (rows > 0 && out.data == nullptr) {
    return InvalidArgument("the output of Preprocess has no data");
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    if (Status status = CheckFrame(frames[i]); !status.ok()) {
      return {status.code(), Concat("frame ", i, ": ", status.message())};
    }
    if (frames[i].memory != FrameMemory::kHost && !cuda_memory) {
      return Unsupported(
          Concat("frame ", i, " lies in CUDA memory, which only the CUDA backend reads"));
    }
  }
  return {};
}

}  // namespace cliptag
