// Exemplar pictures: what a tag looks like, in pictures instead of words.
//
// In CLIP's space pictures lie nearer to each other than to any text (the modality gap), so the
// cosine of a frame with a tag's pictures cannot be compared with cosines of texts. It is compared
// with two levels instead, both cosines with the prototype, the unit mean of the pictures'
// embeddings:
//   p  of the tag's own pictures: the mean, over its pictures, of the cosine with the unit mean of
//      the others (of a single picture: half way from u to 1);
//   u  of pictures that show something else: the largest of the mean of each other tag's pictures
//      and of the upper quartile of each kind of built-in pictures (models/probe_pictures.h:
//      patterns, and some with the light and shade of photographs), which are a sample of all that
//      a camera may see.
// The tag's logit c -> 3 (c - m) / h, with m = (p + u) / 2 and h = (p - u) / 2, has the sigmoid
// 0.95 at p, 0.5 at m and 0.05 at u. h is at least 0.02, with p kept, so that nothing is divided by
// 0 where the tag's pictures are no more like each other than like others.
//
// Thread safety: pure functions; a picture is immutable once built.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "models/prompts/prompts.h"

namespace cliptag {

// A decoded picture, packed RGB.
struct ExemplarPicture {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;

  FrameView view() const {
    return RgbView(rgb.data(), ptrdiff_t{3} * width, width, height, RgbOrder::kRgb);
  }
};

// Copies an 8-bit RGB view. A large one is averaged down by a whole factor, to a shorter side of at
// least 512, more than any model's input, so that a folder of photographs fits in memory.
ExemplarPicture PictureFrom(const FrameView& view);

// Resolves the images of a prompts file that lies in `folder`: relative paths begin there, and a
// folder is replaced by the pictures in it (jpg, jpeg, png, webp, bmp), sorted by name. Errors name
// the tag and the path.
Status FindExemplars(const std::string& folder, PromptSpec* spec);

// Decodes every tag's images into its pictures. An error of `decode` names the file and has no full
// stop; the tag is added to it.
using PictureDecodeFn = std::function<Result<ExemplarPicture>(const std::string& path)>;
Status DecodeExemplars(const PictureDecodeFn& decode, PromptSpec* spec);

// Of one tag: the unit mean of its pictures, and what makes a logit of a cosine with it.
struct Prototype {
  std::vector<float> row;  // empty: the tag has no pictures
  double midpoint = 0;     // m
  double scale = 0;        // 3 / h
};

// One for each tag; nothing is encoded when no tag has pictures.
Result<std::vector<Prototype>> BuildPrototypes(const PromptSpec& spec, int dim,
                                               const PictureEncodeFn& encode);

}  // namespace cliptag
