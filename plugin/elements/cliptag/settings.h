// The properties of `cliptag` as plain data.
#pragma once

#include <gst/gst.h>

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/backend.h"
#include "kernels/frame.h"
#include "plugin/engine/engine.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {

// Cannot change while the element runs.
struct FixedSettings {
  std::string model = "starter";
  BackendOptions backend;
  std::string metrics_file;
};

enum class Mode : uint8_t {
  kAuto,   // kLive in live pipelines, else kExact
  kExact,  // every frame that is inferred leaves with its own tags, in order
  kLive,   // frames are never held back; the newest tags ride along
};

// What every frame asks for; small, so that the streaming thread can copy it.
struct FrameSettings {
  guint interval = 1;
  Rate max_rate;
  guint max_batch = 0;  // 0 = the backend's choice
  guint64 batch_timeout_ns = 10 * GST_MSECOND;
  Fit fit = Fit::kModel;
  bool tiles = false;  // fit=tiles
  guint tile_rows = 2;
  Regions regions = Regions::kFrame;
  std::optional<Orientation> orientation;  // unset: by the image-orientation tag
  Mode mode = Mode::kAuto;
  double still_threshold = 0;  // 0 = off
  bool qos = false;            // in kExact, too: kLive always heeds it
  bool attach_embedding = false;
  bool post_messages = true;
};

struct Settings {
  FixedSettings fixed;
  PromptSource prompts;  // a change encodes all prompts again
  FrameSettings frame;
  PolicyOptions policy;
};

}  // namespace cliptag
