// The properties of `cliptag` as plain data.
#pragma once

#include <gst/gst.h>

#include <string>

#include "kernels/backend.h"
#include "kernels/frame.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {

// What changes rarely: fixed once the element runs, or costs an encoding of all prompts.
struct TextSettings {
  std::string model = "starter";
  BackendOptions backend;
  std::string prompts, prompts_file, templates, background;
  std::string metrics_file;  // fixed, too
};

// What every frame asks for; small, so that the streaming thread can copy it.
struct FrameSettings {
  guint interval = 1;
  gint max_rate_n = 0, max_rate_d = 1;  // 0/1 = no limit
  guint max_batch = 0;                  // 0 = the backend's choice
  guint64 batch_timeout_ns = 10 * GST_MSECOND;
  Fit fit = Fit::kModel;
  bool attach_embedding = false;
  bool post_messages = true;
};

struct Settings {
  TextSettings text;
  FrameSettings frame;
  PolicyOptions policy;
};

}  // namespace cliptag
