// Files for the tests of the tool: a folder that goes away, bytes in and out, small videos.
#pragma once

#include <gst/gst.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "plugin/cli/media/mapped_frame.h"

namespace cliptag {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "cliptag-test.XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<char> ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteBytes(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.good()) << path;
}

inline bool HaveElements(std::initializer_list<const char*> names) {
  EXPECT_TRUE(InitGStreamer().ok());
  for (const char* name : names) {
    GstElementFactory* factory = gst_element_factory_find(name);
    if (!factory) return false;
    gst_object_unref(factory);
  }
  return true;
}

// Runs a launch line to its end.
inline void RunPipeline(const std::string& line) {
  ASSERT_TRUE(InitGStreamer().ok());
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  ASSERT_EQ(error, nullptr) << error->message;
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* message = gst_bus_timed_pop_filtered(
      bus, 30 * GST_SECOND, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  ASSERT_NE(message, nullptr) << line;
  EXPECT_EQ(GST_MESSAGE_TYPE(message), GST_MESSAGE_EOS) << line;
  gst_message_unref(message);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(pipeline);
}

// A VP8 video of 10 frames per second.
inline void MakeVideo(const std::string& path, int frames) {
  RunPipeline("videotestsrc num-buffers=" + std::to_string(frames) +
              " ! video/x-raw,format=I420,width=64,height=48,framerate=10/1 ! vp8enc deadline=1 "
              "! webmmux ! filesink location=\"" +
              path + "\"");
}

}  // namespace cliptag
