#include <filesystem>

#include "kernels/create_backend.h"
#include "models/clip_model.h"
#include "tests/models/golden_engines.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

template <Precision kPrecision>
Result<std::unique_ptr<Backend>> CreateCpu() {
  return CreateBackend({.kind = BackendKind::kCpu, .precision = kPrecision, .threads = 2});
}

// Pictures need no tokenizer; the first text tells what is missing.
TEST(NoTokenizer, PicturesAreEncodedAndTextsRefusedByName) {
  TempDir dir;
  dir.CopyFrom(DataDir() + "/models/siglip-timm");
  std::filesystem::remove(dir.File("tokenizer.json"));
  const auto backend = CreateRefBackend();
  const auto model = Must(ClipModel::Load(dir.path(), *backend));
  EXPECT_TRUE(model->SelfCheck().ok());
  std::vector<float> out(static_cast<size_t>(model->config().embed_dim));
  const std::string text = "a cat";
  ExpectError(model->EncodeTexts({&text, 1}, out.data()), StatusCode::kNotFound,
              {dir.path(), "timm/siglip-timm", "hf_tokenizer_name", "tokenizer.json"});
  // One that is there and damaged is an error at once.
  dir.Write("tokenizer.json", "{");
  ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss, {"tokenizer.json"});
}

// Everything that SigLIP's, EVA's and CoCa's towers need, missed one by one.
TEST(MissingTensors, AreNamed) {
  const auto backend = CreateRefBackend();
  const struct {
    const char *model, *file, *tensor;
  } cases[] = {
      {"siglip-timm", "open_clip_model.safetensors", "visual.trunk.attn_pool.latent"},
      {"siglip-timm", "open_clip_model.safetensors", "visual.trunk.attn_pool.kv.weight"},
      {"siglip-timm", "open_clip_model.safetensors", "visual.trunk.blocks.1.attn.qkv.bias"},
      {"siglip-timm", "open_clip_model.safetensors", "visual.trunk.pos_embed"},
      {"siglip-hf", "model.safetensors", "vision_model.head.probe"},
      {"siglip-hf", "model.safetensors", "vision_model.head.mlp.fc2.bias"},
      {"siglip-hf", "model.safetensors", "text_model.head.weight"},
      {"eva01", "open_clip_model.safetensors", "visual.trunk.blocks.1.attn.q_bias"},
      {"eva01", "open_clip_model.safetensors", "visual.trunk.head.bias"},
      {"eva02", "open_clip_model.safetensors", "visual.trunk.cls_token"},
      {"eva02", "open_clip_model.safetensors", "visual.trunk.blocks.0.attn.k_proj.weight"},
      {"eva02", "open_clip_model.safetensors", "visual.trunk.blocks.0.attn.norm.weight"},
      {"eva02", "open_clip_model.safetensors", "visual.trunk.blocks.1.mlp.fc1_g.weight"},
      {"eva02", "open_clip_model.safetensors", "visual.trunk.blocks.1.mlp.norm.bias"},
      {"coca", "open_clip_model.safetensors", "visual.attn_pool.query"},
      {"coca", "open_clip_model.safetensors", "visual.attn_pool.attn.k_proj_weight"},
      {"coca", "open_clip_model.safetensors", "text.cls_emb"},
  };
  for (const auto& missing : cases) {
    TempDir dir;
    dir.CopyFrom(DataDir() + "/models/" + missing.model);
    std::string bytes = ReadAll(dir.File(missing.file));
    const std::string name = std::string("\"") + missing.tensor + "\"";
    const size_t at = bytes.find(name);
    ASSERT_NE(at, std::string::npos) << name;
    bytes[at + name.size() - 2] = '?';
    dir.Write(missing.file, bytes);
    ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss,
                {missing.tensor, missing.file});
  }
}

}  // namespace

const std::vector<GoldenEngine>& GoldenEngines() {
  // bf16 has 8 bits of mantissa; the bounds are the project's own (issue 3).
  static const std::vector<GoldenEngine> engines = {
      {"Ref", [] { return Result<std::unique_ptr<Backend>>(CreateRefBackend()); }, 0.9999, 0.9999,
       0.9995},
      {"CpuFp32", &CreateCpu<Precision::kFp32>, 0.9999, 0.9999, 0.9995},
      {"CpuBf16", &CreateCpu<Precision::kBf16>, 0.998, 0.995, 0.9975},
      // Bytes in the blocks of the image tower alone: texts are those of bf16.
      {"CpuInt8", &CreateCpu<Precision::kInt8>, 0.998, 0.995, 0.9975},
  };
  return engines;
}

}  // namespace cliptag
