// The safetensors reader against every way that a header can lie.
#include "models/weights/safetensors.h"

#include <cmath>
#include <cstring>

#include "models/weights/weights.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

Result<std::map<std::string, TensorInfo>> Parse(const std::string& file) {
  // A copy of exactly this size, so that a sanitizer sees a read behind the end.
  const std::vector<char> exact(file.begin(), file.end());
  return ParseSafetensors(std::as_bytes(std::span(exact)), "F");
}

TEST(SafetensorsTest, ListsTensorsOfEveryType) {
  const auto tensors = Must(Parse(Safetensors(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},
          "a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},
          "empty":{"dtype":"F32","shape":[0,4],"data_offsets":[20,20]}}   )",
      20)));
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors.at("b").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors.at("b").end - tensors.at("b").begin, 12u);
  EXPECT_EQ(tensors.at("a").dtype, "I64");
  EXPECT_EQ(tensors.at("b").begin, tensors.at("a").end);
}

TEST(SafetensorsTest, ReadsValues) {
  TempDir dir;
  std::string file = Safetensors(
      R"({"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"n":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})",
      5);
  const uint16_t halves[2] = {0x3C00, 0xC100};  // 1, -2.5
  std::memcpy(file.data() + file.size() - 5, halves, 4);
  dir.Write("w.safetensors", file);
  const auto opened = Must(SafetensorsFile::Open(dir.File("w.safetensors")));
  const HostTensor x = Must(opened->Get("x"));
  EXPECT_EQ(x.shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(ElementOf(x, 0), 1.0f);
  EXPECT_EQ(ElementOf(x, 1), -2.5f);
  ExpectError(opened->Get("n"), StatusCode::kUnsupported, {"w.safetensors", "'n'", "U8"});
  ExpectError(opened->Get("y"), StatusCode::kNotFound, {"w.safetensors", "'y'"});
}

TEST(SafetensorsTest, HalfPrecisionNumbers) {
  const auto half = [](uint16_t bits) { return LoadAsFloat(&bits, DType::kF16, 0); };
  EXPECT_EQ(half(0x0001), 0x1p-24f);  // smallest subnormal
  EXPECT_EQ(half(0x8001), -0x1p-24f);
  EXPECT_EQ(half(0x0400), 0x1p-14f);  // smallest normal
  EXPECT_EQ(half(0x7BFF), 65504.0f);
  EXPECT_TRUE(std::isinf(half(0x7C00)));
  EXPECT_TRUE(std::isnan(half(0x7E00)));
  EXPECT_TRUE(std::signbit(half(0x8000)));
  const uint16_t bf16 = 0xC020;
  EXPECT_EQ(LoadAsFloat(&bf16, DType::kBF16, 0), -2.5f);
}

struct BadHeader {
  const char* name;
  std::string file;
  std::vector<std::string> named;
};

class BadHeaderTest : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaderTest, IsRefused) {
  ExpectError(Parse(GetParam().file), StatusCode::kDataLoss, GetParam().named);
}

std::string Tensor(const std::string& fields, size_t bytes) {
  return Safetensors("{\"x\":{" + fields + "}}", bytes);
}

std::vector<BadHeader> BadHeaders() {
  const std::string good = Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 8);
  std::string huge_header = good, far_header = good;
  huge_header[4] = 1;  // 4 GiB of header
  far_header[1] = 2;   // 512 bytes more than there are
  std::string deep = "{\"x\":";
  for (int i = 0; i < 100000; ++i) deep += '[';
  return {
      {"Empty", "", {"F", "too short"}},
      {"OnlySevenBytes", "1234567", {"too short"}},
      {"HeaderOverTheLimit", huge_header, {"no safetensors"}},
      {"HeaderLongerThanTheFile", far_header, {"truncated"}},
      {"EmptyHeader", Safetensors("", 0), {"'{'"}},
      {"HeaderIsAList", Safetensors("[]", 0), {"'{'"}},
      {"NotJson", Safetensors("{\"x\":", 0), {"not valid JSON"}},
      {"GarbageBehindTheHeader", Safetensors("{} x", 0), {"not valid JSON"}},
      {"Deep", Safetensors(deep, 0), {"'x'"}},
      {"DeepMetadata", Safetensors(R"({"__metadata__":{"a":{"b":1}}})", 0), {"nested"}},
      {"DataTruncated", good.substr(0, good.size() - 1), {"'x'", "truncated"}},
      {"BytesLeftOver", good + "y", {"1 bytes", "no tensor"}},
      {"UnknownType",
       Tensor(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])", 8),
       {"'x'", "F33"}},
      {"TypeIsANumber", Tensor(R"("dtype":32,"shape":[2],"data_offsets":[0,8])", 8), {"'dtype'"}},
      {"NoShape", Tensor(R"("dtype":"F32","data_offsets":[0,8])", 8), {"'x'", "lacks"}},
      {"ShapeIsAString",
       Tensor(R"("dtype":"F32","shape":"2","data_offsets":[0,8])", 8),
       {"'shape'"}},
      {"NegativeDimension",
       Tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", 8),
       {"negative"}},
      {"FractionalDimension",
       Tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", 8),
       {"whole"}},
      {"DimensionOver64Bits",
       Tensor(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])", 8),
       {"'shape'"}},
      {"DimensionOverflowsInt64",
       Tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])", 8),
       {"overflows"}},
      {"ElementsOverflow",
       Tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])", 8),
       {"overflows"}},
      {"BitsOverflow",
       Tensor(R"("dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,8])", 8),
       {"overflows"}},
      {"WrapsToTheRightSize",
       Tensor(R"("dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8])", 8),
       {"overflows"}},
      {"SizeContradictsShape",
       Tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", 8),
       {"'x'", "12"}},
      {"OffsetsBackwards", Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", 8), {"'x'"}},
      {"OffsetsOutside",
       Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])", 8),
       {"'x'", "16"}},
      {"OffsetsHuge",
       Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])", 8),
       {"'x'"}},
      {"ThreeOffsets",
       Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])", 8),
       {"two data_offsets"}},
      {"TooManyDimensions",
       Tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])",
              4),
       {"dimensions"}},
      {"HalfAByte", Tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])", 2), {"whole bytes"}},
      {"UnknownField",
       Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"y":1)", 8),
       {"'y'"}},
      {"FieldTwice",
       Tensor(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])", 8),
       {"twice"}},
      {"TensorTwice",
       Safetensors(
           R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
           1),
       {"'x'", "twice"}},
      {"Overlap",
       Safetensors(
           R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           3),
       {"'y'", "overlaps"}},
      {"Hole",
       Safetensors(
           R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
           3),
       {"'y'", "hole"}},
      {"TensorIsANumber", Safetensors(R"({"x":1})", 0), {"'x'", "wrong kind"}},
      {"TensorIsNull", Safetensors(R"({"x":null})", 0), {"'x'", "wrong kind"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Safetensors, BadHeaderTest, ::testing::ValuesIn(BadHeaders()),
                         [](const auto& info) { return info.param.name; });

TEST(SafetensorsTest, EveryTruncationOfAGoodFileIsRefused) {
  const std::string good = Safetensors(
      R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
      11);
  EXPECT_TRUE(Parse(good).ok());
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(Parse(good.substr(0, n)).ok()) << n << " bytes";
  }
}

TEST(SafetensorsTest, FilesThatCannotBeOpened) {
  TempDir dir;
  ExpectError(SafetensorsFile::Open(dir.File("none")), StatusCode::kNotFound, {"none"});
  ExpectError(SafetensorsFile::Open(dir.path()), StatusCode::kInvalidArgument, {dir.path()});
  dir.Write("empty", "");
  ExpectError(SafetensorsFile::Open(dir.File("empty")), StatusCode::kDataLoss, {"empty"});
}

TEST(SafetensorsIndexTest, OnlyPlainNames) {
  TempDir dir;
  for (const char* name : {"../x", "/etc/passwd", "a/b", "..", ".", ""}) {
    dir.Write("i.json", std::string(R"({"weight_map":{"t":")") + name + "\"}}");
    ExpectError(ReadWeightIndex(dir.File("i.json")), StatusCode::kDataLoss, {"i.json", "'t'"});
  }
  dir.Write("i.json", R"({"weight_map":{"t":3}})");
  ExpectError(ReadWeightIndex(dir.File("i.json")), StatusCode::kDataLoss, {"'t'"});
  dir.Write("i.json", R"({"weights":{}})");
  ExpectError(ReadWeightIndex(dir.File("i.json")), StatusCode::kDataLoss, {"weight_map"});
  dir.Write("i.json", R"({"weight_map":{}})");
  ExpectError(ReadWeightIndex(dir.File("i.json")), StatusCode::kDataLoss, {"empty"});
}

TEST(WeightsTest, IndexThatNamesWhatIsNotThere) {
  TempDir dir;
  dir.Write("model.safetensors.index.json", R"({"weight_map":{"t":"a.safetensors"}})");
  ExpectError(Weights::Open(dir.path(), Layout::kHuggingFace), StatusCode::kNotFound,
              {"a.safetensors"});
  dir.Write("a.safetensors", Safetensors("{}", 0));
  ExpectError(Weights::Open(dir.path(), Layout::kHuggingFace), StatusCode::kDataLoss,
              {"'t'", "a.safetensors"});
}

TEST(WeightsTest, NoWeights) {
  TempDir dir;
  ExpectError(Weights::Open(dir.path(), Layout::kHuggingFace), StatusCode::kNotFound,
              {dir.path(), "model.safetensors"});
  ExpectError(Weights::Open(dir.path(), Layout::kOpenClip), StatusCode::kNotFound,
              {dir.path(), "open_clip_model.safetensors"});
  dir.Write("pytorch_model.bin", "");
  ExpectError(Weights::Open(dir.path(), Layout::kHuggingFace), StatusCode::kDataLoss,
              {"pytorch_model.bin", "neither"});
  dir.Write("pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  ExpectError(Weights::Open(dir.path(), Layout::kHuggingFace), StatusCode::kDataLoss,
              {"pytorch_model.bin", "git-lfs"});
}

TEST(WeightsTest, PrefixesThatTheReferencesStrip) {
  for (const std::string prefix : {"", "module.", "clip."}) {
    TempDir dir;
    dir.Write(
        "model.safetensors",
        Safetensors(
            "{\"" + prefix +
                R"(visual.class_embedding":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},")" +
                prefix + R"(logit_scale":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            8));
    const auto weights = Must(Weights::Open(dir.path(), Layout::kOpenClip));
    EXPECT_TRUE(weights->Has("logit_scale")) << prefix;
    EXPECT_EQ(Must(weights->Scalar("logit_scale")), 0.0f);
    ExpectError(weights->Get("logit_scale", {2}), StatusCode::kDataLoss,
                {prefix + "logit_scale", "[1]", "[2]"});
  }
}

}  // namespace
}  // namespace cliptag
