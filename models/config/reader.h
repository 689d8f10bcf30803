// How the readers of JSON configurations (hf.cc, open_clip.cc and its timm models) ask for fields:
// with the reference's default where the file says nothing (null counts as nothing), and an error
// that names file and field where it says nonsense.
//
// A FieldReader collects the first error instead of returning it from every call; status() has it.
// Used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "models/config/config.h"
#include "models/io/json.h"

namespace cliptag {

class FieldReader {
 public:
  // Reads from `object`, which may be null; `prefix` ("vision_config.") is for messages.
  FieldReader(const Json& object, std::string file, std::string prefix, Status* status);

  bool Has(const char* key) const;
  const Json& Get(const char* key) const;  // null when absent
  // Whole numbers within limits that no model comes near, so that products cannot overflow.
  int Int(const char* key, int fallback, int minimum = 1);
  double Number(const char* key, double fallback);
  bool Bool(const char* key, bool fallback);
  std::string String(const char* key, const std::string& fallback);
  // A number, or a pair of equal ones ([224, 224]).
  int Square(const char* key, int fallback);
  // Number `index` of a list, a whole one from 1 on.
  int Element(const char* key, size_t index);
  // Three numbers, or one for all of them, into out.
  void Triple(const char* key, float* out);

  // An Unsupported error unless the field is absent, null, false, zero or an empty string.
  void Refuse(const char* key, const std::string& why);
  void Fail(StatusCode code, const char* key, const std::string& what);
  // An error that names a field which none of the calls above asked for and which is not among
  // `others`, names with a space or line end between them: those known, and without a meaning here.
  // With `also_off` fields that are null, false, zero or empty pass, and those whose names begin
  // with '_'. To be called last.
  void RefuseOthers(const std::string& others = "", bool also_off = false);

 private:
  const Json& object_;
  mutable std::set<std::string> asked_;
  std::string file_, prefix_;
  Status* status_;
};

// The two layouts; `file` is the configuration's path.
Status ReadHuggingFaceConfig(const std::string& file, ModelConfig* config);
Status ReadOpenClipConfig(const std::string& file, ModelConfig* config);
// From the tensors of an archive that OpenAI published; `file` is the archive.
Status ReadOpenAiConfig(const std::string& file, ModelConfig* config);

// The image tower that vision_cfg.timm_model_name stands for. Those not known are refused by name.
VisionConfig ReadTimmVision(FieldReader* vision, const std::string& file, Status* status);

// Its families (timm.cc, eva.cc, mobileclip.cc): what the name stands for; nothing where it is none
// of theirs. `arguments`, of timm's constructor, take the name's place.
std::optional<VisionConfig> ReadSiglip(FieldReader* vision, FieldReader* arguments);
std::optional<VisionConfig> ReadEva(FieldReader* vision, FieldReader* arguments);
std::optional<VisionConfig> ReadMobileClip(FieldReader* vision, FieldReader* arguments);
// The tower of that name in a family's table, or null.
template <typename Tower, size_t n>
const Tower* FindTimm(const Tower (&towers)[n], FieldReader* vision) {
  const std::string name = vision->String("timm_model_name", "");
  for (const Tower& tower : towers) {
    if (name == tower.name) return &tower;
  }
  return nullptr;
}
// An error unless timm_pool and timm_proj ("": null) are those that the family has.
void CheckTimmHead(FieldReader* vision, const char* pool, const std::string& proj,
                   const char* family);
TransformerConfig ReadTimmTransformer(FieldReader* arguments, int width, int layers, int heads,
                                      double mlp_ratio);

// "mlp_ratio" of a width.
int ReadMlpWidth(FieldReader* reader, int width, double ratio);

// The size of pictures and the patches that an image tower takes.
void SetInput(const VisionConfig& vision, PreprocessSpec* spec);

// The relations that every model must keep: heads divide the width, patches fit the picture.
Status CheckConfig(const ModelConfig& config, const std::string& file);

// The mean and standard deviation that CLIP was trained with.
void SetClipMeanAndStd(PreprocessSpec* spec);

}  // namespace cliptag
