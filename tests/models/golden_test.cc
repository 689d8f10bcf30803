// The encoders against open_clip and transformers: tiny models of every variant (tests/data/models,
// written by make_goldens.py) and three that take photos of usual size (tests/data/goldens), on the
// engines of golden_engines.h.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "models/clip_model.h"
#include "models/io/json.h"
#include "tests/models/golden_engines.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

// `what` ("texts") names the property under which the report keeps the worst cosine.
void ExpectRows(const char* what, const Rows& wanted, const std::vector<float>& found, double bound,
                const std::vector<std::string>& names) {
  SCOPED_TRACE(what);
  ASSERT_EQ(found.size(), wanted.data.size());
  ASSERT_EQ(static_cast<size_t>(wanted.rows), names.size());
  double worst = 1;
  for (int64_t i = 0; i < wanted.rows; ++i) {
    const float* row = found.data() + i * wanted.cols;
    const double cosine = Cosine(wanted.row(i), row, wanted.cols);
    EXPECT_TRUE(cosine >= bound) << "row " << i << " (" << names[i] << "): cosine " << cosine;
    double squares = 0;
    for (int64_t c = 0; c < wanted.cols; ++c) squares += double{row[c]} * row[c];
    EXPECT_NEAR(squares, 1.0, 1e-4) << "row " << i << " is not of unit length";
    worst = std::min(worst, cosine);
  }
  ::testing::Test::RecordProperty(std::string("worst_") + what, std::to_string(worst));
}

std::vector<float> EncodePictures(ClipModel& model, const std::vector<Picture>& pictures) {
  std::vector<FrameView> views;
  for (const Picture& picture : pictures) views.push_back(picture.view());
  std::vector<float> out(pictures.size() * model.config().embed_dim);
  PreprocessSpec spec = model.config().preprocess;
  spec.fit = Fit::kModel;
  const Status status = model.image().Encode(views, spec, out.data());
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

std::vector<float> EncodeTexts(ClipModel& model, const std::vector<std::string>& texts) {
  std::vector<float> out(texts.size() * model.config().embed_dim);
  const Status status = model.EncodeTexts(texts, out.data());
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

class GoldenTest : public ::testing::TestWithParam<std::tuple<const char*, GoldenEngine>> {
 protected:
  const GoldenEngine& engine() const { return std::get<1>(GetParam()); }
  void Open(const std::string& directory) {
    backend_ = Must(engine().create());
    model_ = Must(ClipModel::Load(directory, *backend_));
  }
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ClipModel> model_;
};

class TinyGoldenTest : public GoldenTest {};

std::vector<Picture> TinyPictures(int size) {
  const std::string npy = ReadAll(DataDir() + "/models/pictures-" + std::to_string(size) + ".npy");
  const size_t bytes = size_t{3} * size * size;
  std::vector<Picture> out;
  for (int i = 0; i < 3; ++i) {
    const char* data = npy.data() + npy.size() - (3 - i) * bytes;
    out.push_back({size, size, {data, data + bytes}});
  }
  return out;
}

TEST_P(TinyGoldenTest, EqualsTheReference) {
  const std::string name = std::get<0>(GetParam());
  const std::string directory = DataDir() + "/models/" + name;
  backend_ = Must(engine().create());
  // FastViT's towers; the others of MobileCLIP are vision transformers.
  const bool fastvit = name.starts_with("mobileclip-s") || name.starts_with("mobileclip2-s");
  if (fastvit && !backend_->Supports(Feature::kDepthwiseConvolutions).ok()) {
    ExpectError(ClipModel::Load(directory, *backend_), StatusCode::kUnsupported,
                {"CUDA", "FastViT", "backend=cpu"});
    return;
  }
  model_ = Must(ClipModel::Load(directory, *backend_));
  // Some have texts of their own.
  const std::string own = directory + "/texts.json";
  const auto texts =
      Json::parse(ReadAll(std::filesystem::exists(own) ? own : DataDir() + "/models/texts.json"))
          .get<std::vector<std::string>>();
  const bool pieces = directory.ends_with("siglip-timm") || directory.ends_with("siglip-hf");
  const bool reads = !pieces || HasSentencePiece();
  if (reads) {
    ExpectRows("texts", ReadNpy(directory + "/texts.npy"), EncodeTexts(*model_, texts),
               engine().texts, texts);
  }
  // Batches that do not divide the three pictures.
  for (int batch : {1, 2, 4}) {
    ASSERT_TRUE(model_->image().Setup(batch).ok());
    ExpectRows("images", ReadNpy(directory + "/images.npy"),
               EncodePictures(*model_, TinyPictures(model_->config().preprocess.size)),
               engine().images, {"a", "b", "c"});
  }
  if (std::string(std::get<0>(GetParam())).starts_with("siglip")) {
    EXPECT_NEAR(model_->config().logit_scale, std::exp(2.0), 1e-4);
    EXPECT_EQ(model_->config().logit_bias, -10.0);
  }
  const Status check = model_->SelfCheck();
  EXPECT_TRUE(check.ok()) << check.message();
  if (!reads) GTEST_SKIP() << "pictures are right; texts need sentencepiece";
}

constexpr const char* kTiny[] = {"hf",
                                 "hf-legacy-gelu-sharded-bf16",
                                 "openclip",
                                 "openclip-no-pre-avg",
                                 "openclip-avg-final-layerscale",
                                 "openclip-first-noproj",
                                 "openclip-resnet",
                                 "siglip-timm",
                                 "siglip2-timm",
                                 "siglip-hf",
                                 "mobileclip-b",
                                 "mobileclip-s",
                                 "mobileclip-s-folded",
                                 "mobileclip2-s3",
                                 "mobileclip2-l",
                                 "coca",
                                 "coca-correct-mask",
                                 "openai",
                                 "openai-resnet",
                                 "eva01",
                                 "eva02",
                                 "eva02-post-norm"};

std::string TestName(const ::testing::TestParamInfo<std::tuple<const char*, GoldenEngine>>& info) {
  std::string name = std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, TinyGoldenTest,
                         ::testing::Combine(::testing::ValuesIn(kTiny),
                                            ::testing::ValuesIn(GoldenEngines())),
                         TestName);

class PhotoGoldenTest : public GoldenTest {};

TEST_P(PhotoGoldenTest, EqualsTheReference) {
  const std::string name = std::get<0>(GetParam());
  const std::string directory = DataDir() + "/goldens/" + name;
  Open(directory);
  const Json expected = Json::parse(ReadAll(directory + "/expected.json"));
  const auto texts = expected["texts"].get<std::vector<std::string>>();
  const auto images = expected["images"].get<std::vector<std::string>>();
  EXPECT_NEAR(model_->config().logit_scale, expected["logit_scale"].get<double>(), 1e-3);
  ExpectRows("texts", ReadNpy(directory + "/expected_text_embeddings.npy"),
             EncodeTexts(*model_, texts), engine().texts, texts);
  ASSERT_TRUE(model_->image().Setup(3).ok());
  const Rows wanted = ReadNpy(directory + "/expected_image_embeddings.npy");
  const std::string size = std::to_string(model_->config().preprocess.size);
  std::vector<Picture> ready, photos;
  for (const std::string& image : images) {
    const std::string stem = image.substr(0, image.find('.'));
    ready.push_back(
        ReadPicture(DataDir() + "/goldens/preprocess/" + stem + "-shortest-crop-" + size + ".png"));
    photos.push_back(ReadPicture(DataDir() + "/photos/" + image));
  }
  ExpectRows("images", wanted, EncodePictures(*model_, ready), engine().images, images);
  ExpectRows("photos", wanted, EncodePictures(*model_, photos), engine().photos, images);
}

constexpr const char* kPhotoModels[] = {"hf-vit-patch16", "openclip-resnet",
                                        "openclip-vit-patch14-res336"};

// Every model on every engine, but a ResNet of full size on the oracle, whose convolutions would
// take minutes.
std::vector<std::tuple<const char*, GoldenEngine>> PhotoCases() {
  std::vector<std::tuple<const char*, GoldenEngine>> cases;
  for (const char* model : kPhotoModels) {
    for (const GoldenEngine& engine : GoldenEngines()) {
      if (std::string(model) == "openclip-resnet" && std::string(engine.name) == "Ref") continue;
      cases.emplace_back(model, engine);
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, PhotoGoldenTest, ::testing::ValuesIn(PhotoCases()), TestName);

}  // namespace
}  // namespace cliptag
