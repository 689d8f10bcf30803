// Configurations that tests write into a directory of their own, read as the files of a model are.
#pragma once

#include <string>

#include "models/config/config.h"
#include "tests/models/model_test.h"

namespace cliptag {

inline Result<ModelConfig> TryHf(const std::string& config,
                                 const std::string& preprocessor = "{}") {
  TempDir dir;
  dir.Write("config.json", config);
  dir.Write("preprocessor_config.json", preprocessor);
  return ReadModelConfig(dir.path());
}

inline Result<ModelConfig> TryOpenClip(const std::string& config) {
  TempDir dir;
  dir.Write("open_clip_config.json", config);
  return ReadModelConfig(dir.path());
}

// open_clip's, with these fields in one tower and defaults in the other.
inline std::string Vision(const std::string& fields) {
  return R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {)" + fields + R"(}, "text_cfg": {}}})";
}
inline std::string Text(const std::string& fields) {
  return R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {)" + fields + "}}}";
}

}  // namespace cliptag
