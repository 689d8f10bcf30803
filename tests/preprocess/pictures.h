// Frames for the preprocessing tests, in every memory layout, each plane in a heap block of exactly
// its size so that AddressSanitizer sees a read past it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/frame.h"

namespace cliptag {

struct Layout {
  const char* name;
  PixelKind kind;
  int bytes_per_sample, bits, shift, chroma_shift_x, chroma_shift_y;
  struct {
    int plane, offset, pixel_stride;  // bytes
  } component[3];
};

// Every family of raw video formats that a FrameView describes.
const std::vector<Layout>& AllLayouts();
const Layout& LayoutNamed(std::string_view name);

// A sample's value: of component c at sample (x, y) of its own plane.
using SampleFunction = std::function<int(int c, int x, int y)>;

// The hash that tests/preprocess/make_goldens.py makes its noise with.
uint32_t Hash(uint32_t seed, uint32_t index);
SampleFunction Noise(uint32_t seed, const Layout& layout, int width);

struct TestFrame {
  FrameView view;
  std::vector<std::unique_ptr<uint8_t[]>> planes;
};

// `padding`: bytes after each row; `upside_down`: rows run backwards in memory (negative stride).
TestFrame MakeFrame(const Layout& layout, int width, int height, const SampleFunction& sample,
                    int padding = 0, bool upside_down = false);

// A picture as a function of a position counted in pixels (pixel centres at .5): RGB in 0..1.
struct Rgb {
  double r, g, b;
};
using SmoothPicture = std::function<Rgb(double x, double y)>;

// `picture` stored in `layout` with the view's matrix, range and siting, each sample at its own
// place, rounded to the nearest code.
TestFrame MakeSmoothFrame(const Layout& layout, int width, int height, YuvMatrix matrix,
                          bool full_range, bool cosited_x, bool cosited_y,
                          const SmoothPicture& picture);

// A spec that leaves values in 0..1.
PreprocessSpec PlainSpec(int size, int patch, Fit fit, Interpolation interpolation);

// Undoes the patch order: (3, used, used) planes of one frame's patches.
std::vector<float> Unpatch(const std::vector<float>& patches, int size, int patch);

// RefPreprocess of one frame; asserts that it succeeds.
std::vector<float> RunRef(const FrameView& view, const PreprocessSpec& spec);

}  // namespace cliptag
