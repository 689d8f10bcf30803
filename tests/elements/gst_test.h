// What the element tests share: initialising GStreamer, buffers, waiting, the bus.
#pragma once

#include <dlfcn.h>
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/sanitized.h"

namespace cliptag::test {

// Any critical of GLib or GStreamer ends the test program: a wrong refcount or a bad cast is a
// failure. `register_elements` for tests that link the elements instead of loading the plugin.
class GstEnvironment : public ::testing::Environment {
 public:
  explicit GstEnvironment(std::function<bool()> register_elements = nullptr)
      : register_(std::move(register_elements)) {}
  void SetUp() override {
    // ThreadSanitizer knows the names of what is loaded at its first report, be it suppressed, and
    // suppressions go by names.
    const char* plugin = std::getenv("GST_PLUGIN_PATH");
    if (kSanitized && plugin != nullptr && *plugin != '\0') {
      EXPECT_NE(dlopen((std::string(plugin) + "/libgstcliptag.so").c_str(), RTLD_LAZY), nullptr);
    }
    gst_init(nullptr, nullptr);
    g_log_set_always_fatal(
        static_cast<GLogLevelFlags>(int{G_LOG_FATAL_MASK} | int{G_LOG_LEVEL_CRITICAL}));
    const bool registered = !register_ || register_();
    ASSERT_TRUE(registered);
  }

 private:
  std::function<bool()> register_;
};

// Polls; for what happens on other threads. Generous, since it only costs time when a test fails.
inline bool WaitFor(const std::function<bool()>& condition, int seconds = 20) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

struct MessageUnref {
  void operator()(GstMessage* m) const { gst_message_unref(m); }
};
struct BufferFree {
  void operator()(GstBuffer* b) const { gst_buffer_unref(b); }
};
using BufferHolder = std::unique_ptr<GstBuffer, BufferFree>;
using MessagePtr = std::unique_ptr<GstMessage, MessageUnref>;

// Takes everything of these types off the bus.
inline std::vector<MessagePtr> PopMessages(GstBus* bus, GstMessageType types) {
  std::vector<MessagePtr> messages;
  while (GstMessage* message = gst_bus_pop_filtered(bus, types)) messages.emplace_back(message);
  return messages;
}

inline std::vector<MessagePtr> PopElementMessages(GstBus* bus, const char* name) {
  std::vector<MessagePtr> named;
  for (MessagePtr& message : PopMessages(bus, GST_MESSAGE_ELEMENT)) {
    if (gst_message_has_name(message.get(), name)) named.push_back(std::move(message));
  }
  return named;
}

// The text of an error or a warning; "" for other messages.
inline std::string TextOf(GstMessage* message) {
  GError* error = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
  } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
    gst_message_parse_warning(message, &error, nullptr);
  }
  const std::string text = error != nullptr ? error->message : "";
  g_clear_error(&error);
  return text;
}

inline std::string CapsOf(const std::string& format, int width, int height) {
  return "video/x-raw,format=" + format + ",width=" + std::to_string(width) +
         ",height=" + std::to_string(height) + ",framerate=25/1";
}

}  // namespace cliptag::test
