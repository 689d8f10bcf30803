#include "plugin/elements/cliptag/property_types.h"

#include <gst/gst.h>

#include "kernels/backend.h"
#include "kernels/frame.h"
#include "plugin/elements/cliptag/settings.h"

namespace cliptag {
namespace {

// Each type is registered once; `values` must live as long as the process.
GType Register(const char* name, const GEnumValue* values) {
  const GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

template <typename E, size_t N>
GType Register(const char* name, const Choice<E> (&table)[N]) {
  auto* values = new GEnumValue[N + 1]{};
  GEnumValue* next = values;
  for (const Choice<E>& row : table) {
    if (row.help != nullptr) *next++ = {Int(row.value), row.help, row.name};
  }
  return Register(name, values);
}

}  // namespace

GType BackendType() {
  static const GType type = Register("GstClipTagBackend", kBackends);
  return type;
}

GType PrecisionType() {
  static const GType type = Register("GstClipTagPrecision", kPrecisions);
  return type;
}

GType ScoringType() {
  static const GType type = Register("GstClipTagScoring", kScorings);
  return type;
}

GType FitType() {
  static const GEnumValue values[] = {
      {Int(Fit::kModel), "As the model's configuration says", "model"},
      {Int(Fit::kCrop), "The square in the centre", "crop"},
      {Int(Fit::kSquash), "The whole frame, its aspect ratio changed", "squash"},
      {Int(Fit::kLetterbox), "The whole frame, with bars", "letterbox"},
      {kFitTiles, "Overlapping squares that cover the frame; each tag has its best one's region",
       "tiles"},
      {0, nullptr, nullptr}};
  static const GType type = Register("GstClipTagFit", values);
  return type;
}

GType RegionsType() {
  static const GEnumValue values[] = {
      {Int(Regions::kFrame), "The frame", "frame"},
      {Int(Regions::kObjects), "The objects that elements before this one have found", "objects"},
      {Int(Regions::kBoth), "The frame and the objects", "both"},
      {0, nullptr, nullptr}};
  static const GType type = Register("GstClipTagRegions", values);
  return type;
}

GType OrientationType() {
  static const GEnumValue values[] = {
      {kOrientationAuto,
       "By the image-orientation tag, unless an element before this one has applied it", "auto"},
      {Int(Orientation::kRotate0), "As stored", "none"},
      {Int(Orientation::kRotate90), "Rotated by 90 degrees clockwise", "rotate-90"},
      {Int(Orientation::kRotate180), "Rotated by 180 degrees", "rotate-180"},
      {Int(Orientation::kRotate270), "Rotated by 270 degrees clockwise", "rotate-270"},
      {Int(Orientation::kFlipRotate0), "Mirrored left-right", "flip-rotate-0"},
      {Int(Orientation::kFlipRotate90), "Mirrored, then rotated by 90 degrees", "flip-rotate-90"},
      {Int(Orientation::kFlipRotate180), "Mirrored, then rotated by 180 degrees",
       "flip-rotate-180"},
      {Int(Orientation::kFlipRotate270), "Mirrored, then rotated by 270 degrees",
       "flip-rotate-270"},
      {0, nullptr, nullptr}};
  static const GType type = Register("GstClipTagOrientation", values);
  return type;
}

GType ModeType() {
  static const GEnumValue values[] = {
      {Int(Mode::kAuto), "live in live pipelines, else exact", "auto"},
      {Int(Mode::kExact), "Frames wait for inference and leave with their own tags, in order",
       "exact"},
      {Int(Mode::kLive), "Frames never wait; they carry the newest tags and how old these are",
       "live"},
      {0, nullptr, nullptr}};
  static const GType type = Register("GstClipTagMode", values);
  return type;
}

}  // namespace cliptag
