// What the parser says of bitstreams made by hand, whole and broken.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "plugin/elements/keyframes/bit_reader.h"
#include "plugin/elements/keyframes/parameter_sets.h"
#include "plugin/elements/keyframes/parser.h"
#include "tests/elements/keyframe_bytes.h"

namespace cliptag {

// For what gtest prints.
static void PrintTo(PictureKind kind, std::ostream* out) {
  static const char* const kNames[] = {"keyframe", "other", "headers", "unknown", "damaged"};
  *out << kNames[static_cast<int>(kind)];
}

namespace {

using namespace test;  // NOLINT

// The bytes on the heap, to the byte, so that the address sanitizer sees every read beyond them.
Picture ParseWith(KeyframeParser& parser, const Bytes& bytes, std::vector<ParameterSet>* sets) {
  const auto exact = std::make_unique<uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  const Picture picture = parser.Parse({exact.get(), bytes.size()}, sets);
  // Sets lie in the bytes; have each read once.
  unsigned sum = 0;
  for (const ParameterSet& set : *sets) {
    EXPECT_GE(set.nal.data(), exact.get());
    EXPECT_LE(set.nal.data() + set.nal.size(), exact.get() + bytes.size());
    for (const uint8_t byte : set.nal) sum += byte;
  }
  EXPECT_GE(sum, 0u);
  EXPECT_LE(picture.headers_at, bytes.size());
  sets->clear();
  return picture;
}

Picture ParseOnce(VideoCodec codec, NalFraming framing, const Bytes& bytes,
                  const Bytes& codec_data = {}) {
  KeyframeParser parser(codec, framing, codec_data);
  std::vector<ParameterSet> sets;
  return ParseWith(parser, bytes, &sets);
}
Picture H264(const Bytes& bytes) {
  return ParseOnce(VideoCodec::kH264, NalFraming::kStartCodes, bytes);
}
Picture H265(const Bytes& bytes) {
  return ParseOnce(VideoCodec::kH265, NalFraming::kStartCodes, bytes);
}
Picture Vp9(const Bytes& bytes) { return ParseOnce(VideoCodec::kVp9, NalFraming::kNone, bytes); }
Picture Vp8(const Bytes& bytes) { return ParseOnce(VideoCodec::kVp8, NalFraming::kNone, bytes); }
Picture Av1(const Bytes& bytes) { return ParseOnce(VideoCodec::kAv1, NalFraming::kNone, bytes); }

constexpr PictureKind kKey = PictureKind::kKeyframe, kOther = PictureKind::kOther,
                      kHeaders = PictureKind::kHeaders, kDamaged = PictureKind::kDamaged,
                      kUnknown = PictureKind::kUnknown;

TEST(BitReader, ReadsBitsGolombAndLeb128) {
  BitWriter bits;
  bits.Bits(5, 3).Ue(0).Ue(1).Ue(255).Ue(65534).Bits(0xffffffff, 32);
  BitReader reader(bits.bytes());
  EXPECT_EQ(reader.Bits(3), 5u);
  for (const uint32_t value : {0u, 1u, 255u, 65534u}) EXPECT_EQ(reader.Ue(), value);
  EXPECT_EQ(reader.Bits(32), 0xffffffffu);
  EXPECT_TRUE(reader.ok());
  const Bytes leb = {0xe5, 0x8e, 0x26, 0xff, 0xff, 0xff, 0xff, 0x7f};
  BitReader leb_reader(leb);
  EXPECT_EQ(leb_reader.Leb128(), 624485u);
  EXPECT_TRUE(leb_reader.ok());
  EXPECT_EQ(leb_reader.Leb128(), 0u) << "more than 32 bits";
  EXPECT_FALSE(leb_reader.ok());
}

TEST(BitReader, IsAtAnEndBeyondTheLastByte) {
  const Bytes two = {0xff, 0x80};
  BitReader reader(two);
  EXPECT_EQ(reader.Bits(16), 0xff80u);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.Bits(8), 0u);
  EXPECT_FALSE(reader.ok());
  const Bytes zeros(8, 0);
  BitReader golomb(zeros);
  EXPECT_EQ(golomb.Ue(), 0u);
  EXPECT_FALSE(golomb.ok()) << "32 leading zeros are no number";
}

TEST(BitReader, TakesOutEmulationPrevention) {
  const Bytes escaped = {0x00, 0x00, 0x03, 0x01, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03};
  BitReader reader(escaped, true);
  EXPECT_EQ(reader.Bits(24), 0x000001u);
  EXPECT_EQ(reader.Bits(32), 0u);
  EXPECT_TRUE(reader.ok());
  reader.Bits(1);
  EXPECT_FALSE(reader.ok());
  BitReader plain(escaped);
  EXPECT_EQ(plain.Bits(24), 0x000003u);
}

TEST(KeyframeParserH264, ToldBySliceAndNalType) {
  EXPECT_EQ(H264(AnnexB({h264::Idr()})).kind, kKey);
  EXPECT_EQ(H264(AnnexB({h264::Aud(), h264::Sps(), h264::Pps(), h264::Idr()})).kind, kKey);
  EXPECT_EQ(H264(AnnexB({h264::P()})).kind, kOther);
  EXPECT_EQ(H264(AnnexB({h264::Aud(), h264::B()})).kind, kOther);
  EXPECT_EQ(H264(AnnexB({h264::I()})).kind, kOther) << "nothing says that decoding may begin here";
  for (const Bytes& whole : {AnnexB({h264::Idr()}), AnnexB({h264::Aud(), h264::P()})}) {
    EXPECT_FALSE(H264(whole).damaged);
  }
}

TEST(KeyframeParserH264, RecoveryPointOfIntraSlicesAlone) {
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0), h264::I()})).kind, kKey);
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0), h264::I(), h264::I(30), h264::I(60)})).kind, kKey);
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0), h264::Slice(0x41, 2)})).kind, kKey);
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0), h264::I(), h264::P()})).kind, kOther);
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0), h264::P()})).kind, kOther);
  EXPECT_EQ(H264(AnnexB({h264::Recovery(3), h264::I()})).kind, kOther) << "gradual refresh";
  EXPECT_EQ(H264(AnnexB({h264::Recovery(0)})).kind, kOther) << "no picture";
}

TEST(KeyframeParserH264, LengthsOfEverySize) {
  for (int size : {1, 2, 4}) {
    SCOPED_TRACE(size);
    const Bytes data = h264::CodecData(size);
    const auto parse = [&](const Bytes& bytes) {
      return ParseOnce(VideoCodec::kH264, NalFraming::kLengths, bytes, data);
    };
    EXPECT_EQ(parse(WithLengths({h264::Aud(), h264::Idr()}, size)).kind, kKey);
    EXPECT_EQ(parse(WithLengths({h264::Aud(), h264::P()}, size)).kind, kOther);
    EXPECT_EQ(parse(WithLengths({{}, h264::Idr()}, size)).kind, kKey) << "an empty NAL unit";
    EXPECT_EQ(parse(WithLengths({h264::Aud(), h264::Recovery(), h264::I()}, size)).kind, kKey);
  }
  EXPECT_EQ(ParseOnce(VideoCodec::kH264, NalFraming::kLengths, WithLengths({h264::Idr()})).kind,
            kUnknown)
      << "without codec_data";
  EXPECT_EQ(
      ParseOnce(VideoCodec::kH264, NalFraming::kLengths, WithLengths({h264::Idr()}), {1, 2, 3})
          .kind,
      kUnknown);
}

TEST(KeyframeParserH264, StartCodesOfThreeBytesAndTrailingZeros) {
  const Bytes bytes =
      Join({{0, 0, 0, 0, 0, 1}, h264::Aud(), {0, 0, 0, 0, 0, 1}, h264::Idr(), {0, 0, 0}});
  const Picture picture = H264(bytes);
  EXPECT_EQ(picture.kind, kKey);
  EXPECT_FALSE(picture.damaged);
  EXPECT_EQ(H264(Join({{0, 0, 1}, h264::P()})).kind, kOther);
}

TEST(KeyframeParserH264, ParameterSetsAndWhereTheyGo) {
  KeyframeParser parser(VideoCodec::kH264, NalFraming::kStartCodes, {});
  std::vector<ParameterSet> sets;
  const Bytes unit = AnnexB({h264::Aud(), h264::Sps(3), h264::Pps(200), h264::P()});
  const Picture picture = parser.Parse(unit, &sets);
  EXPECT_EQ(picture.kind, kOther);
  EXPECT_EQ(picture.headers_at, 6u) << "behind the delimiter";
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(Bytes(sets[0].nal.begin(), sets[0].nal.end()), h264::Sps(3));
  EXPECT_EQ(Bytes(sets[1].nal.begin(), sets[1].nal.end()), h264::Pps(200));
  EXPECT_NE(sets[0].key, sets[1].key);
  const uint32_t sps_key = sets[0].key;
  EXPECT_EQ(parser.Parse(AnnexB({h264::Sps(3, 41), h264::Pps(1)}), &sets).kind, kHeaders);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].key, sps_key) << "the same number, whatever is in it";
}

TEST(KeyframeParserH264, Damaged) {
  for (const Bytes& bytes :
       {Bytes{}, Bytes{0}, Bytes{0, 0, 1}, Bytes{0, 0, 0, 1}, Bytes(100, 0), Bytes(100, 0xff),
        AnnexB({{0xe5, 0x88}}), Bytes{'h', 'e', 'l', 'l', 'o'}}) {
    const Picture picture = H264(bytes);
    EXPECT_EQ(picture.kind, kDamaged) << bytes.size();
    EXPECT_TRUE(picture.damaged);
  }
  // An IDR picture cut short is one still; a slice without its type is none.
  const Bytes data = h264::CodecData();
  const auto parse = [&](const Bytes& bytes) {
    return ParseOnce(VideoCodec::kH264, NalFraming::kLengths, bytes, data);
  };
  const Picture cut = parse({0, 0, 1, 0, 0x65, 0x88});
  EXPECT_EQ(cut.kind, kKey);
  EXPECT_TRUE(cut.damaged);
  EXPECT_EQ(parse({0, 0, 1, 0, 0x41}).kind, kOther);
  EXPECT_EQ(parse({0, 0}).kind, kDamaged);
  EXPECT_EQ(parse({0xff, 0xff, 0xff, 0xff}).kind, kDamaged);
  EXPECT_TRUE(H264(AnnexB({{0x67}, h264::P()})).damaged) << "an SPS without a number";
  EXPECT_EQ(H264(AnnexB({{0x06, 0xff, 0xff, 0xff}, h264::I()})).kind, kOther);
}

TEST(KeyframeParserH265, IrapPictures) {
  for (uint32_t type = 0; type < 32; ++type) {
    SCOPED_TRACE(type);
    const bool key = type >= 16 && type <= 21;
    EXPECT_EQ(H265(AnnexB({h265::Nal(type)})).kind, key ? kKey : kOther);
    EXPECT_EQ(H265(AnnexB({h265::Nal(35, {0x50}), h265::Nal(39), h265::Nal(type)})).kind,
              key ? kKey : kOther);
  }
  EXPECT_EQ(H265(AnnexB({h265::Nal(19, {0xaf}, 1), h265::Nal(1)})).kind, kOther)
      << "the base layer counts";
  Bytes hvcc(23, 0);
  hvcc[21] = 0xfd;  // lengths of two bytes
  EXPECT_EQ(
      ParseOnce(VideoCodec::kH265, NalFraming::kLengths, WithLengths({h265::Nal(21)}, 2), hvcc)
          .kind,
      kKey);
}

TEST(KeyframeParserH265, NumbersOfParameterSets) {
  KeyframeParser parser(VideoCodec::kH265, NalFraming::kStartCodes, {});
  std::vector<ParameterSet> sets;
  BitWriter vps, pps;
  vps.Bits(7, 4).Bits(0xfff, 12);
  pps.Ue(5).Bits(0xff, 8);
  for (const uint32_t sub_layers : {0u, 1u, 6u}) {
    const Bytes unit = AnnexB({h265::Nal(35, {0x50}), h265::Nal(32, vps.bytes()),
                               h265::Sps(9, sub_layers), h265::Nal(34, pps.bytes()), h265::Nal(1)});
    const Picture picture = parser.Parse(unit, &sets);
    EXPECT_EQ(picture.kind, kOther);
    EXPECT_EQ(picture.headers_at, 7u);
    ASSERT_EQ(sets.size(), 3u) << sub_layers;
    EXPECT_EQ(sets[0].key & 0xff, 7u);
    EXPECT_EQ(sets[1].key & 0xff, 9u);
    EXPECT_EQ(sets[2].key & 0xff, 5u);
  }
  EXPECT_EQ(parser.Parse(AnnexB({h265::Sps(1)}), &sets).kind, kHeaders);
}

TEST(KeyframeParserH265, Damaged) {
  for (const Bytes& bytes : {Bytes{}, Bytes(50, 0), AnnexB({{0x26}}), AnnexB({{0xa6, 0x01}}),
                             AnnexB({{0x26, 0x00, 0xaf}})}) {
    EXPECT_EQ(H265(bytes).kind, kDamaged) << bytes.size();
  }
}

TEST(KeyframeParserVp8, FrameTag) {
  EXPECT_EQ(Vp8(vp8::Frame(true)).kind, kKey);
  EXPECT_EQ(Vp8(vp8::Frame(false)).kind, kOther);
  EXPECT_EQ(Vp8(vp8::Frame(true, false)).kind, kOther) << "hidden";
  Bytes wrong = vp8::Frame(true);
  wrong[4] = 0;
  EXPECT_EQ(Vp8(wrong).kind, kDamaged);
  for (size_t size = 0; size < 10; ++size) {
    Bytes cut = vp8::Frame(true);
    cut.resize(size);
    EXPECT_EQ(Vp8(cut).kind, kDamaged) << size;
  }
}

TEST(KeyframeParserVp9, HeaderOfEveryProfile) {
  for (uint32_t profile = 0; profile < 4; ++profile) {
    SCOPED_TRACE(profile);
    EXPECT_EQ(Vp9(vp9::Frame(true, true, profile)).kind, kKey);
    EXPECT_EQ(Vp9(vp9::Frame(false, true, profile)).kind, kOther);
    EXPECT_EQ(Vp9(vp9::Frame(true, false, profile)).kind, kOther) << "hidden";
  }
  EXPECT_EQ(Vp9(vp9::ShowExisting()).kind, kOther);
}

TEST(KeyframeParserVp9, Superframes) {
  using vp9::Frame;
  EXPECT_EQ(Vp9(vp9::Superframe({Frame(true), Frame(false)})).kind, kKey) << "layers";
  EXPECT_EQ(Vp9(vp9::Superframe({Frame(true, false), vp9::ShowExisting()})).kind, kKey);
  EXPECT_EQ(Vp9(vp9::Superframe({Frame(false, false), Frame(false)})).kind, kOther);
  EXPECT_EQ(Vp9(vp9::Superframe({Frame(false, false), Frame(true)})).kind, kOther);
  Bytes broken = vp9::Superframe({Frame(true), Frame(false)});
  broken[broken.size() - 2] = 0x7f;  // a frame longer than all
  EXPECT_EQ(Vp9(broken).kind, kDamaged);
  EXPECT_EQ(Vp9(Bytes{0xc9, 0, 0, 0, 0, 0xc9}).kind, kDamaged) << "empty frames alone";
}

TEST(KeyframeParserVp9, Damaged) {
  Bytes no_sync = vp9::Frame(true);
  no_sync[1] ^= 0xff;
  for (const Bytes& bytes : {Bytes{}, Bytes{0x00}, Bytes{0x82}, no_sync, Bytes(40, 0xff)}) {
    EXPECT_EQ(Vp9(bytes).kind, kDamaged) << bytes.size();
  }
}

TEST(KeyframeParserAv1, FrameHeaders) {
  EXPECT_EQ(Av1(av1::Key()).kind, kKey);
  EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Frame(0, true, 3)})).kind, kKey);
  for (const uint32_t type : {1u, 2u, 3u}) {  // inter, intra only, switch
    EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Frame(type)})).kind, kOther) << type;
  }
  EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Frame(0, false)})).kind, kOther) << "hidden";
  EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Obu(3, {0x80 | 0x10})})).kind, kOther)
      << "show_existing_frame";
  EXPECT_EQ(Av1(Join({av1::Sequence(true), av1::Frame(1)})).kind, kKey)
      << "a reduced still picture has no frame type";
  EXPECT_EQ(Av1(av1::Sequence()).kind, kHeaders);
  EXPECT_EQ(Av1(av1::Delimiter()).kind, kOther);
  EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Obu(6, {0x10, 0x00}, true)})).kind, kKey)
      << "with an extension header";
  // The last OBU may go without its size.
  EXPECT_EQ(Av1(Join({av1::Sequence(), {0x30, 0x10, 0x22}})).kind, kKey);
}

TEST(KeyframeParserAv1, RemembersTheSequenceHeader) {
  std::vector<ParameterSet> sets;
  KeyframeParser parser(VideoCodec::kAv1, NalFraming::kNone, {});
  EXPECT_EQ(parser.Parse(av1::Inter(), &sets).kind, kUnknown);
  EXPECT_EQ(parser.Parse(av1::Key(), &sets).kind, kKey);
  EXPECT_EQ(parser.Parse(av1::Inter(), &sets).kind, kOther);
  const Bytes av1c = Join({{0x81, 0, 0, 0}, av1::Sequence()});
  EXPECT_EQ(ParseOnce(VideoCodec::kAv1, NalFraming::kNone, av1::Frame(0), av1c).kind, kKey);
}

TEST(KeyframeParserAv1, Damaged) {
  for (const Bytes& bytes : {Bytes{}, Bytes{0xff, 0xff}, Bytes{0x0a}, Bytes{0x32, 0x80}}) {
    EXPECT_EQ(Av1(bytes).kind, kDamaged) << bytes.size();
  }
  EXPECT_EQ(Av1(Join({av1::Sequence(), av1::Obu(6, {})})).kind, kOther) << "a frame without a byte";
  const Picture cut = Av1(Join({av1::Sequence(), {0x32, 0x7f, 0x10}}));
  EXPECT_EQ(cut.kind, kKey);
  EXPECT_TRUE(cut.damaged);
}

// Deterministic damage to everything above: nothing is read beyond the end (the address sanitizer
// says so), nothing loops for ever, and the same bytes get the same answer.
TEST(KeyframeParser, StandsEveryDamage) {
  struct Case {
    VideoCodec codec;
    NalFraming framing;
    Bytes codec_data, bytes;
  };
  using enum VideoCodec;
  Bytes hvcc(23, 0xff);
  const std::vector<Case> cases = {
      {kH264,
       NalFraming::kStartCodes,
       {},
       AnnexB({h264::Aud(), h264::Sps(), h264::Pps(), h264::Recovery(), h264::I(), h264::I(9)})},
      {kH264, NalFraming::kStartCodes, {}, AnnexB({h264::Aud(), h264::Recovery(9), h264::Idr()})},
      {kH264, NalFraming::kLengths, h264::CodecData(),
       WithLengths({h264::Aud(), h264::Sps(), h264::Pps(), h264::Recovery(), h264::I()})},
      {kH264, NalFraming::kLengths, h264::CodecData(1),
       WithLengths({h264::Recovery(), h264::I()}, 1)},
      {kH265,
       NalFraming::kStartCodes,
       {},
       AnnexB(
           {h265::Nal(35, {0x50}), h265::Nal(32), h265::Sps(3, 6), h265::Nal(34), h265::Nal(21)})},
      {kH265, NalFraming::kLengths, hvcc,
       WithLengths({h265::Sps(15), h265::Nal(34), h265::Nal(1)})},
      {kVp8, NalFraming::kNone, {}, vp8::Frame(true)},
      {kVp9,
       NalFraming::kNone,
       {},
       vp9::Superframe({vp9::Frame(true, false), vp9::ShowExisting()})},
      {kAv1, NalFraming::kNone, {}, Join({av1::Key(), av1::Obu(5, Bytes(30, 7), true)})},
  };
  std::mt19937 random(20260101);
  std::vector<ParameterSet> sets;
  int keyframes = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(&c - cases.data());
    KeyframeParser whole(c.codec, c.framing, c.codec_data);
    ASSERT_FALSE(ParseWith(whole, c.bytes, &sets).damaged);
    for (int round = 0; round < 4000; ++round) {
      Bytes bytes = c.bytes, data = c.codec_data;
      if (round % 3 != 0) bytes.resize(random() % (bytes.size() + 1));
      for (unsigned flips = random() % 6; flips > 0 && !bytes.empty(); --flips) {
        bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1u << (random() % 8));
      }
      if (round % 7 == 0 && !data.empty()) data.resize(random() % data.size());
      if (round % 5 == 0 && !data.empty()) data[random() % data.size()] ^= 0x03;
      KeyframeParser first(c.codec, c.framing, data), second(c.codec, c.framing, data);
      const Picture one = ParseWith(first, bytes, &sets);
      EXPECT_EQ(one.kind, ParseWith(second, bytes, &sets).kind);
      EXPECT_TRUE(!bytes.empty() || one.kind == kDamaged);
      keyframes += one.kind == kKey;
    }
  }
  EXPECT_GE(keyframes, 1000) << "most damage is after what tells, or in between";
}

TEST(ParameterSets, OnlyWhatTheDecoderHasNotSeen) {
  KeyframeParser parser(VideoCodec::kH264, NalFraming::kStartCodes, {});
  const Bytes sps = h264::Sps(), pps = h264::Pps(), new_pps = h264::Pps(0, 0x55);
  const std::vector<ParameterSet> both = {{0x700, sps}, {0x800, pps}};
  const std::vector<ParameterSet> changed = {{0x800, new_pps}};
  ParameterSets memory;
  EXPECT_TRUE(memory.Dropped(both));
  EXPECT_EQ(memory.TakeMissing({}, parser), AnnexB({sps, pps}));
  EXPECT_EQ(memory.TakeMissing({}, parser), Bytes()) << "they are sent by now";
  EXPECT_TRUE(memory.Dropped(both));
  EXPECT_EQ(memory.TakeMissing({}, parser), Bytes()) << "the same again";
  EXPECT_TRUE(memory.Dropped(changed));
  EXPECT_TRUE(memory.Sent(changed));
  EXPECT_EQ(memory.TakeMissing({}, parser), Bytes()) << "came by themselves";
  EXPECT_TRUE(memory.Dropped(both));
  EXPECT_EQ(memory.TakeMissing({}, parser), AnnexB({pps})) << "the old one is new again";
  EXPECT_TRUE(memory.Dropped(changed));
  EXPECT_EQ(memory.TakeMissing(both, parser), Bytes()) << "the keyframe's own win";
}

TEST(ParameterSets, FramedByLengthsAndInOrder) {
  const KeyframeParser parser(VideoCodec::kH264, NalFraming::kLengths, h264::CodecData(2));
  const Bytes sps = h264::Sps(), pps = h264::Pps();
  ParameterSets memory;
  EXPECT_TRUE(memory.Dropped(std::vector<ParameterSet>{{0x800, pps}, {0x700, sps}}));
  EXPECT_EQ(memory.TakeMissing({}, parser), WithLengths({sps, pps}, 2));
}

TEST(ParameterSets, AreBounded) {
  const KeyframeParser parser(VideoCodec::kH264, NalFraming::kStartCodes, {});
  const Bytes large(200 * 1024, 0x67);
  ParameterSets memory;
  EXPECT_TRUE(memory.Dropped(std::vector<ParameterSet>{{0x700, large}}));
  EXPECT_FALSE(memory.Dropped(std::vector<ParameterSet>{{0x701, large}}));
  EXPECT_TRUE(memory.Dropped(std::vector<ParameterSet>{{0x700, large}}));
  EXPECT_EQ(memory.TakeMissing({}, parser).size(), large.size() + 4);
  // One that replaces another takes its place.
  for (uint8_t i = 0; i < 8; ++i) {
    const Bytes next(200 * 1024, i);
    EXPECT_TRUE(memory.Dropped(std::vector<ParameterSet>{{0x700, next}}));
  }
}

}  // namespace
}  // namespace cliptag
