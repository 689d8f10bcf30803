// What the tests of models/ share: where data lies, temporary directories, files made by hand.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/io/json.h"

namespace cliptag {

std::string DataDir();     // tests/data
std::string StarterDir();  // models/starter in the source tree

// A directory of its own for a test, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  std::string path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, std::string_view content) const;
  void CopyFrom(const std::string& directory) const;  // every plain file

 private:
  std::string path_;
};

std::string ReadAll(const std::string& path);

// Whether this build has sentencepiece, which some tokenizers need.
bool HasSentencePiece();

// A safetensors file from a header (the length is put before it) and as many zero bytes of data.
std::string Safetensors(const std::string& header, size_t data_bytes);

// The header of a safetensors file, and the file with another one; data may be put behind it.
Json SafetensorsHeader(const std::string& file);
std::string WithSafetensorsHeader(const std::string& file, const Json& header,
                                  const std::string& more_data = "");

// The value, or a test failure that shows the error.
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().message();
    throw std::runtime_error(result.status().message());
  }
  return result.Take();
}

// The image tower, of a model that has a vision transformer.
inline const VitConfig& Vit(const ModelConfig& config) {
  return std::get<VitConfig>(config.vision);
}

// The status has this code, and its message names each of these.
void ExpectError(const Status& status, StatusCode code, const std::vector<std::string>& named);
template <typename T>
void ExpectError(const Result<T>& result, StatusCode code, const std::vector<std::string>& named) {
  ExpectError(result.status(), code, named);
}

// Rows of a float32 .npy file.
struct Rows {
  int64_t rows = 0, cols = 0;
  std::vector<float> data;
  const float* row(int64_t i) const { return data.data() + i * cols; }
};
Rows ReadNpy(const std::string& path);

double Cosine(const float* a, const float* b, int64_t n);

// A picture as packed RGB; decoded by OpenCV (read_picture.cc), or before a run on a GPU.
struct Picture {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
  FrameView view() const { return RgbView(rgb.data(), width * 3, width, height, RgbOrder::kRgb); }
};
Picture ReadPicture(const std::string& path);

}  // namespace cliptag
