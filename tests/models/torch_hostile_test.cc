// The reader of PyTorch's archives against every way that a file made by hand can lie.
#include "models/weights/torch_file.h"
#include "tests/models/model_test.h"
#include "tests/models/torch_archive.h"

namespace cliptag {
namespace {

Result<TorchContents> Parse(const std::string& file) {
  // A copy of exactly this size, so that a sanitizer sees a read behind the end.
  const std::vector<char> exact(file.begin(), file.end());
  return ParseTorch(std::as_bytes(std::span(exact)), "F");
}

struct Hostile {
  const char* name;
  std::string file;
  StatusCode code;
  std::vector<std::string> named;
};

class HostileTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileTest, IsRefused) {
  ExpectError(Parse(GetParam().file), GetParam().code, GetParam().named);
}

std::string Of(const std::string& value) { return Archive(StateDict(value)); }
std::string With(HandmadeTensor tensor) { return Of(PickledTensorValue(tensor)); }

constexpr int64_t kHuge = int64_t{1} << 62;

std::vector<Hostile> HostileTensors() {
  constexpr StatusCode kBad = StatusCode::kDataLoss;
  return {
      {"OffsetBeyond", With({.offset = 1}), kBad, {"'x'", "element 6", "storage of 6"}},
      {"OffsetNegative", With({.offset = -1}), kBad, {"'x'", "cannot be"}},
      {"OffsetHuge", With({.offset = INT64_MAX}), kBad, {"'x'", "cannot be"}},
      {"ShapeBeyond", With({.shape = {3, 3}}), kBad, {"'x'", "element 8"}},
      {"ShapeNegative", With({.shape = {-2, 3}}), kBad, {"'x'", "cannot be"}},
      {"ShapeOverflows", With({.shape = {kHuge, kHuge}, .strides = {0, 0}}), kBad, {"'x'"}},
      {"StrideBeyond", With({.strides = {4, 1}}), kBad, {"'x'", "element 6"}},
      {"StrideNegative", With({.strides = {-3, 1}}), kBad, {"'x'", "cannot be"}},
      {"StrideHuge", With({.strides = {kHuge, 1}}), kBad, {"'x'"}},
      {"StrideOverflows", With({.shape = {4, 3}, .strides = {kHuge, 1}}), kBad, {"'x'"}},
      {"FewerStrides", With({.strides = {1}}), kBad, {"2 dimensions and 1 strides"}},
      {"StorageLarger", With({.elements = 7}), kBad, {"storage of 7", "holds 6"}},
      {"StorageHuge", With({.elements = kHuge}), kBad, {"'x'", "holds 6"}},
      {"StorageNegative", With({.elements = -6}), kBad, {"storage"}},
      {"StorageMissing", With({.key = "1"}), kBad, {"a/data/1", "not there"}},
      {"StorageOutside", With({.key = "../../etc/passwd"}), kBad, {"not there"}},
      {"DoublesOfFloats", With({.storage = "DoubleStorage"}), kBad, {"holds 3"}},
      {"ManyDimensions",
       With({.shape = std::vector<int64_t>(17, 1), .strides = std::vector<int64_t>(17, 1)}),
       kBad,
       {"tensor by something else"}},
  };
}

std::string Pickle(const std::string& program) { return Archive("\x80\x02" + program); }

std::vector<Hostile> HostilePickles() {
  constexpr StatusCode kBad = StatusCode::kDataLoss;
  // A module whose attribute is itself, and one whose two attributes are the next one's owner.
  const std::string module = "c__torch__\nM\n)\x81";
  const std::string cycle = module + "q" + std::string(1, '\0') + "}" + PickledText("m") + "h" +
                            std::string(1, '\0') + "sb.";
  std::string tree = module;  // 2^40 paths through 40 modules
  for (int i = 0; i < 40; ++i) {
    const std::string slot = std::string("q") + static_cast<char>(i),
                      get = std::string("h") + static_cast<char>(i);
    tree = tree + slot + "0" + module + "}" + PickledText("a") + get + "s" + PickledText("b") +
           get + "sb";
  }
  std::string deep;
  for (int i = 0; i < 2'000'000; ++i) deep += ']';
  return {
      {"Empty", Archive(""), kBad, {"ends too early"}},
      {"OnlyStop", Archive("."), kBad, {"not there"}},
      {"NoStop", Pickle("}"), kBad, {"ends too early"}},
      {"Protocol9", Archive("\x80\x09}."), kBad, {"protocol 9"}},
      {"RunsACommand",
       Pickle("cos\nsystem\n(X\x02" + std::string(3, '\0') + "lstR."),
       StatusCode::kUnsupported,
       {"os.system", "nothing from a pickle is run"}},
      {"RunsAnotherPickle",
       Pickle("}" + PickledText("x") + "cpickle\nloads\n)Rs."),
       StatusCode::kUnsupported,
       {"pickle.loads"}},
      {"EvaluatesAText", Pickle("cbuiltins\neval\n."), StatusCode::kUnsupported, {"builtins.eval"}},
      {"LoadsBytes",
       Pickle("ctorch.storage\n_load_from_bytes\n."),
       kBad,
       {"an object of torch.storage._load_from_bytes"}},
      {"AWholeModel",
       Pickle("copen_clip.model\nCLIP\n)\x81}b."),
       kBad,
       {"an object of open_clip.model.CLIP", "state_dict()"}},
      {"NameByStack",
       Pickle(PickledText("os") + PickledText("system") + "\x93."),
       StatusCode::kUnsupported,
       {"os.system"}},
      {"NameIsBinary", Pickle("c\x01\x02\n\xff\n."), kBad, {"??.?"}},
      {"NameWithoutEnd", Pickle("ctorch"), kBad, {"ends too early"}},
      {"Instance", Pickle("(ios\nsystem\n."), kBad, {"opcode 105"}},
      {"Extension", Pickle("\x82\x01."), kBad, {"opcode 130"}},
      {"LongText", Pickle("X\xff\xff\xff\xff."), kBad, {"ends too early"}},
      {"LongText8", Pickle("\x8d" + std::string(8, '\xff') + "."), kBad, {"ends too early"}},
      {"LongNumber", Pickle("\x8a\x09" + std::string(9, '1') + "."), kBad, {"an object"}},
      {"LongBytes", Pickle("B\xff\xff\xff\xff."), kBad, {"ends too early"}},
      {"PairsThatAreNone",
       Pickle("ccollections\nOrderedDict\n]" + PickledNumber(1) + "a\x85R."),
       kBad,
       {"OrderedDict"}},
      {"DictionaryInItself",
       Pickle("}q" + std::string(1, '\0') + PickledText("x") + "h" + std::string(1, '\0') + "s."),
       kBad,
       {"no tensor", "'x'"}},
      {"NothingToPop", Pickle("0."), kBad, {"not there"}},
      {"PopsAMark", Pickle("(0."), kBad, {"not there"}},
      {"NoMark", Pickle("t."), kBad, {"mark"}},
      {"UnknownMemo", Pickle("h\x07."), kBad, {"repeats"}},
      {"HugeMemo", Pickle("}r\xff\xff\xff\xff."), kBad, {"too many"}},
      {"SetsInAList",
       Pickle("]" + PickledNumber(1) + PickledNumber(2) + "s."),
       kBad,
       {"holds none"}},
      {"OddItems", Pickle("}(" + PickledNumber(1) + "u."), kBad, {"holds none"}},
      {"CallsAText", Pickle(PickledText("x") + ")R."), kBad, {"no function"}},
      {"CallsAStorage", Pickle("ctorch\nFloatStorage\n)R."), kBad, {"torch.FloatStorage"}},
      {"OrderedDictOfSomething",
       Pickle("ccollections\nOrderedDict\n(" + PickledNumber(1) + "tR."),
       kBad,
       {"OrderedDict"}},
      {"PersistentText", Pickle(PickledText("0") + "Q."), kBad, {"no storage"}},
      {"Cycle", Pickle(cycle), kBad, {"nested more than 64"}},
      {"PathsWithoutEnd", Pickle(tree + "."), kBad, {"hold each other"}},
      {"TooManyValues", Pickle(deep + "."), kBad, {"too many values"}},
      {"NoTensors", Pickle("}."), kBad, {"no tensor"}},
      {"StateDictIsANumber",
       Pickle("}" + PickledText("state_dict") + PickledNumber(1) + "s."),
       kBad,
       {"a number"}},
  };
}

std::vector<Hostile> HostileZips() {
  constexpr StatusCode kBad = StatusCode::kDataLoss;
  const std::string pickle = StateDict(PickledTensorValue({}));
  const std::string good = Archive(pickle), good64 = Archive(pickle, true);
  const auto edit = [](std::string file, size_t at, const std::string& with) {
    file.replace(at, with.size(), with);
    return file;
  };
  const size_t end = good.size() - 22, end64 = good64.size() - 22 - 20 - 56;
  const size_t central = good.find("PK\x01\x02");
  return {
      {"Truncated", good.substr(0, good.size() - 1), kBad, {"F", "truncated"}},
      {"Half", good.substr(0, good.size() / 2), kBad, {"truncated"}},
      {"OnlyTheBeginning", "PK\x03\x04", kBad, {"truncated"}},
      {"NotAZip", "hello, world", StatusCode::kUnsupported, {"bare pickle"}},
      {"DirectoryOutside", edit(good, end + 16, LittleEndian(0xfffffff0, 4)), kBad, {"outside"}},
      {"DirectoryTooLong", edit(good, end + 12, LittleEndian(0x7fffffff, 4)), kBad, {"outside"}},
      {"MoreEntriesThanThereAre",
       edit(good, end + 10, LittleEndian(4, 2)),
       kBad,
       {"table of contents"}},
      {"NoRoomForEntries", edit(good, end + 10, LittleEndian(0xfff0, 2)), kBad, {"outside"}},
      {"EntryOutside",
       edit(good, central + 42, LittleEndian(0x7ffffff0, 4)),
       kBad,
       {"a/data.pkl", "not where"}},
      {"EntryElsewhere",
       edit(good, central + 42, LittleEndian(1, 4)),
       kBad,
       {"a/data.pkl", "not where"}},
      {"EntryTooLong",
       edit(edit(good, central + 20, LittleEndian(0x7fffffff, 4)), central + 24,
            LittleEndian(0x7fffffff, 4)),
       kBad,
       {"beyond"}},
      {"TwoLengths", edit(good, central + 24, LittleEndian(1, 4)), kBad, {"two lengths"}},
      {"NameTooLong", edit(good, central + 28, LittleEndian(0xffff, 2)), kBad, {"too early"}},
      {"Encrypted",
       edit(good, central + 8, LittleEndian(1, 2)),
       StatusCode::kUnsupported,
       {"encrypted"}},
      {"Compressed",
       edit(good, central + 10, LittleEndian(8, 2)),
       StatusCode::kUnsupported,
       {"data.pkl", "compressed"}},
      {"OtherName", edit(good, 30, "b"), kBad, {"two names"}},
      {"No64Number", edit(good, central + 42, LittleEndian(0xffffffff, 4)), kBad, {"not where"}},
      {"Directory64Outside",
       edit(good64, end64 + 48, LittleEndian(UINT64_MAX, 8)),
       kBad,
       {"outside"}},
      {"Directory64Elsewhere",
       edit(good64, good64.size() - 22 - 12, LittleEndian(UINT64_MAX - 3, 8)),
       kBad,
       {"zip64"}},
      {"Twice", ZipFile({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), kBad, {"twice"}},
      {"TwoFolders",
       ZipFile({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}),
       kBad,
       {"two folders"}},
      {"NoPickle", ZipFile({{"a/data/0", ""}}), kBad, {"without a data.pkl"}},
      {"BigEndian",
       ZipFile({{"a/data.pkl", pickle}, {"a/byteorder", "big"}}),
       StatusCode::kUnsupported,
       {"order of bytes"}},
  };
}

const auto kNameOf = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(Tensors, HostileTest, ::testing::ValuesIn(HostileTensors()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Pickles, HostileTest, ::testing::ValuesIn(HostilePickles()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Zips, HostileTest, ::testing::ValuesIn(HostileZips()), kNameOf);

}  // namespace
}  // namespace cliptag
