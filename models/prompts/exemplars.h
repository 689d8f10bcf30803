// Exemplar pictures: what a tag looks like, in pictures instead of words.
//
// A model sees pictures nearer to each other than to any text (its modality gap), so the cosine of
// a frame with a tag's pictures says nothing beside cosines with texts. It is held to two levels
// of its own instead, both cosines with the prototype, the unit mean of the pictures' embeddings:
//   p  how near the tag's own pictures come: the mean, over its pictures, of the cosine with the
//      unit mean of the others (of one picture alone: half way from u to 1);
//   u  how near pictures come that show something else: those of each other tag by their mean,
//      the built-in ones (models/probe_pictures.h), patterns and such as have the light and shade
//      of photographs, by the upper quartile of each kind, for they are a sample of all that a
//      camera may see. The largest of these counts: what is taken for the tag most easily must not
//      pass.
// The tag's logit is 3 (c - m) / h, with m = (p + u) / 2 and h = (p - u) / 2: sigmoid makes 0.95
// of p, 0.5 of m and 0.05 of u. h is at least 0.02, measured down from p, so that pictures which
// are no more like each other than like others divide by nothing.
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

// Copies an 8-bit RGB view. What is far larger than any model looks at is averaged down by a whole
// factor, to a shorter side of at least 512, so that a folder of photographs fits in memory.
ExemplarPicture PictureFrom(const FrameView& view);

// Puts files in the place of what a prompts file in `folder` names as images: relative paths begin
// there, and a folder stands for every picture in it (by name: jpg, jpeg, png, webp, bmp), in the
// order of their names. Errors name the tag and what is missing or holds no picture.
Status FindExemplars(const std::string& folder, PromptSpec* spec);

// Decodes every tag's images into its pictures. `decode` tells what is wrong, naming the
// file, without a full stop; the error adds the tag.
using PictureDecodeFn = std::function<Result<ExemplarPicture>(const std::string& path)>;
Status DecodeExemplars(const PictureDecodeFn& decode, PromptSpec* spec);

// Of one tag: where its pictures point, and what turns a cosine with that into a logit.
struct Prototype {
  std::vector<float> row;  // empty: the tag has no pictures
  double midpoint = 0;     // m
  double scale = 0;        // 3 / h
};

// One for each tag; nothing is encoded when no tag has pictures.
Result<std::vector<Prototype>> BuildPrototypes(const PromptSpec& spec, int dim,
                                               const PictureEncodeFn& encode);

}  // namespace cliptag
