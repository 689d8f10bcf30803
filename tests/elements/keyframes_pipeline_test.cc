// `cliptagkeyframes` of the built plugin between real encoders and decoders: what comes out are the
// keyframes, at once, with the pixels and the tags that decoding everything gives them.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "plugin/elements/keyframes/parser.h"
#include "tests/elements/gst_test.h"
#include "tests/elements/run_pipeline.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());

namespace cliptag::test {
namespace {

// Half a second between keyframes, three of them, and nothing that makes an encoder add one.
const std::string kSource =
    "videotestsrc num-buffers=36 pattern=ball ! "
    "video/x-raw,format=I420,width=160,height=120,framerate=24/1 ! ";
constexpr size_t kKeyframes = 3;

struct Stream {
  const char* name;
  std::string encoder;  // with what follows it up to cliptagkeyframes
  std::string decoder;
  bool at_once;  // the decoder knows how to give out a keyframe before the next one comes
};

const std::string kX264 = "x264enc key-int-max=12 speed-preset=ultrafast option-string=scenecut=0";
const std::string kX264B =
    "x264enc key-int-max=12 bframes=3 b-adapt=false option-string=scenecut=0";
const std::string kOpenGop =
    "x264enc key-int-max=12 bframes=3 b-adapt=false option-string=scenecut=0:open-gop=1";
const std::string kX265 = "x265enc key-int-max=12 speed-preset=ultrafast option-string=scenecut=0";

const Stream kStreams[] = {
    {"H264ByteStream", kX264 + " ! video/x-h264,stream-format=byte-stream ! h264parse",
     "avdec_h264", true},
    {"H264Avc", kX264 + " ! h264parse ! video/x-h264,stream-format=avc", "avdec_h264", true},
    {"H264Avc3", kX264 + " ! h264parse ! video/x-h264,stream-format=avc3", "h264parse ! avdec_h264",
     true},
    {"H264BFrames", kX264B + " ! h264parse", "avdec_h264", true},
    {"H264OpenGop", kOpenGop + " ! h264parse", "avdec_h264", true},
    {"H264Interlaced", kX264B + " interlaced=true ! h264parse", "avdec_h264", true},
    {"H264WithoutParser", kX264B + " ! video/x-h264,stream-format=avc", "avdec_h264", true},
    {"H264InDecodebin", kX264B + " ! h264parse", "decodebin", false},
    {"OpenH264", "openh264enc gop-size=12 ! h264parse", "openh264dec", true},
    {"OpenH264ToLibav", "openh264enc gop-size=12 ! h264parse", "avdec_h264", true},
    {"H264BFramesInOpenH264", kX264B + " ! h264parse", "openh264dec", false},
    {"H265", kX265 + " ! h265parse", "avdec_h265", true},
    {"H265Hvc1", kX265 + " ! h265parse ! video/x-h265,stream-format=hvc1", "avdec_h265", true},
    {"H265ToDe265", kX265 + " ! h265parse", "libde265dec", false},
    {"Vp8", "vp8enc keyframe-max-dist=12 deadline=1", "vp8dec", true},
    {"Vp9", "vp9enc keyframe-max-dist=12 deadline=1 cpu-used=8", "vp9dec", true},
    {"Vp9Parsed", "vp9enc keyframe-max-dist=12 deadline=1 cpu-used=8 ! vp9parse", "avdec_vp9",
     true},
    {"Av1", "av1enc keyframe-max-dist=12 cpu-used=8 ! av1parse", "av1dec", true},
};

// The first element of a launch line that is not installed; "" if all are.
std::string MissingIn(const std::string& launch) {
  gchar** words = g_strsplit(launch.c_str(), " ", -1);
  std::string missing;
  bool first = true;  // of a part between exclamation marks
  for (gchar** word = words; *word != nullptr && missing.empty(); ++word) {
    if (**word == '\0') continue;
    if (first && std::strchr(*word, '/') == nullptr) {
      GstElementFactory* factory = gst_element_factory_find(*word);
      if (factory == nullptr) missing = *word;
      if (factory != nullptr) gst_object_unref(factory);
    }
    first = std::strcmp(*word, "!") == 0;
  }
  g_strfreev(words);
  return missing;
}

// Its get_buffer2 has no frame for those that FFmpeg makes up in between; seen in 1.26.
bool LibavGivesUpWhereNumbersJump() {
  GstPlugin* plugin = gst_registry_find_plugin(gst_registry_get(), "libav");
  if (plugin == nullptr) return false;
  guint major = 0, minor = 0;
  const bool known = std::sscanf(gst_plugin_get_version(plugin), "%u.%u", &major, &minor) == 2;
  gst_object_unref(plugin);
  return known && (major > 1 || minor >= 24);
}

struct TagSeen {
  std::string label;
  double score = 0, cosine = 0;
};
struct Frame {
  guint64 pixels = 0;  // a hash
  std::vector<TagSeen> tags;
};

void ExpectSame(const Frame& frame, const Frame& expected) {
  EXPECT_EQ(frame.pixels, expected.pixels);
  ASSERT_EQ(frame.tags.size(), 3u);
  ASSERT_EQ(expected.tags.size(), 3u);
  for (size_t i = 0; i < frame.tags.size(); ++i) {
    const TagSeen &one = frame.tags[i], &other = expected.tags[i];
    EXPECT_EQ(one.label, other.label);
    // Sums are rounded differently in batches of different sizes.
    EXPECT_TRUE(std::fabs(one.score - other.score) <= 1e-4) << one.score << " " << other.score;
    EXPECT_TRUE(std::fabs(one.cosine - other.cosine) <= 1e-4) << one.cosine << " " << other.cosine;
  }
}

// Held by whoever touches what tests and streaming threads share, and once before a pipeline
// starts: what GStreamer orders by GLib's locks, ThreadSanitizer does not see.
std::mutex turn;

struct Collector {
  std::map<GstClockTime, Frame> frames;
  size_t count = 0;

  static void Handoff(GstElement*, GstBuffer* buffer, GstPad*, gpointer self) {
    auto* collector = static_cast<Collector*>(self);
    Frame frame;
    GstMapInfo map;
    ASSERT_TRUE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    guint64 hash = 14695981039346656037u;
    for (gsize i = 0; i < map.size; ++i) hash = (hash ^ map.data[i]) * 1099511628211u;
    frame.pixels = hash;
    gst_buffer_unmap(buffer, &map);
    if (GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "GstCliptagMeta")) {
      GstStructure* structure = gst_custom_meta_get_structure(meta);
      const GValue* tags = gst_structure_get_value(structure, "tags");
      for (guint i = 0; i < gst_value_list_get_size(tags); ++i) {
        const GstStructure* tag = gst_value_get_structure(gst_value_list_get_value(tags, i));
        TagSeen seen;
        seen.label = gst_structure_get_string(tag, "label");
        EXPECT_TRUE(gst_structure_get(tag, "score", G_TYPE_DOUBLE, &seen.score, "cosine",
                                      G_TYPE_DOUBLE, &seen.cosine, nullptr));
        frame.tags.push_back(seen);
      }
    }
    const std::lock_guard lock(turn);
    collector->frames[GST_BUFFER_PTS(buffer)] = frame;
    ++collector->count;
  }
};

// Keyframes that go into a decoder, and frames that come out of it.
struct AtOnce {
  int in = 0, out = 0, late = 0;

  static GstPadProbeReturn In(GstPad*, GstPadProbeInfo*, gpointer self) {
    auto* at_once = static_cast<AtOnce*>(self);
    const std::lock_guard lock(turn);
    if (at_once->out < at_once->in) ++at_once->late;
    ++at_once->in;
    return GST_PAD_PROBE_OK;
  }
  static GstPadProbeReturn Out(GstPad*, GstPadProbeInfo*, gpointer self) {
    auto* at_once = static_cast<AtOnce*>(self);
    const std::lock_guard lock(turn);
    ++at_once->out;
    return GST_PAD_PROBE_OK;
  }
};

void Connect(GstElement* pipeline, const char* name, Collector* collector) {
  GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline), name);
  ASSERT_NE(sink, nullptr) << name;
  g_signal_connect(sink, "handoff", G_CALLBACK(&Collector::Handoff), collector);
  gst_object_unref(sink);
}

void Probe(GstElement* pipeline, const char* element, const char* pad, GstPadProbeCallback callback,
           gpointer data) {
  GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline), element);
  ASSERT_NE(found, nullptr);
  GstPad* found_pad = gst_element_get_static_pad(found, pad);
  ASSERT_NE(found_pad, nullptr);
  gst_pad_add_probe(found_pad, GST_PAD_PROBE_TYPE_BUFFER, callback, data, nullptr);
  gst_object_unref(found_pad);
  gst_object_unref(found);
}

std::string RunToTheEnd(GstElement* pipeline) {
  { const std::lock_guard all_is_set(turn); }
  GstBus* bus = gst_element_get_bus(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const auto types = static_cast<GstMessageType>(int{GST_MESSAGE_EOS} | int{GST_MESSAGE_ERROR});
  const MessagePtr message(gst_bus_timed_pop_filtered(bus, 100 * GST_SECOND, types));
  std::string error = message ? TextOf(message.get()) : "no end after 100 seconds";
  // Decoders that find nothing to decode warn.
  for (const MessagePtr& m : PopMessages(bus, GST_MESSAGE_WARNING)) {
    error += "warning: " + TextOf(m.get());
  }
  gst_object_unref(bus);
  return error;
}

guint64 StatOf(GstElement* pipeline, const char* name) {
  GstElement* element = gst_bin_get_by_name(GST_BIN(pipeline), "k");
  GstStructure* stats = nullptr;
  guint64 value = 0;
  g_object_get(element, "stats", &stats, nullptr);
  EXPECT_TRUE(gst_structure_get_uint64(stats, name, &value));
  gst_structure_free(stats);
  gst_object_unref(element);
  return value;
}

TEST(Keyframes, MissingElementsAreSeen) {
  EXPECT_EQ(MissingIn("videotestsrc num-buffers=1 ! no-such-encoder a=b ! video/x-raw ! fakesink"),
            "no-such-encoder");
  EXPECT_EQ(MissingIn("videotestsrc num-buffers=1 ! video/x-raw,width=8 ! cliptagkeyframes"), "");
}

class KeyframesOf : public ::testing::TestWithParam<Stream> {};

TEST_P(KeyframesOf, GiveThePixelsAndTagsOfFullDecoding) {
  const Stream& stream = GetParam();
  const std::string missing = MissingIn(stream.encoder + " ! " + stream.decoder);
  if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
  if (stream.name == std::string("H264OpenGop") && LibavGivesUpWhereNumbersJump()) {
    GTEST_SKIP() << "avdec_h264 from 1.24 on decodes no keyframe whose frame_num does not follow";
  }
  const std::string tagged =
      " ! videoconvert ! cliptag prompts=\"a ball; a car; a dog\" post-messages=false ! fakesink "
      "sync=false signal-handoffs=true name=";
  const std::string queue = " t. ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! ";
  const PipelinePtr pipeline = Parse(
      kSource + stream.encoder + " ! tee name=t" + queue + stream.decoder + tagged + "full" +
      queue + "cliptagkeyframes name=k ! " + stream.decoder + " name=decoder" + tagged + "keys");
  ASSERT_NE(pipeline, nullptr);
  Collector full, keys;
  AtOnce at_once;
  Connect(pipeline.get(), "full", &full);
  Connect(pipeline.get(), "keys", &keys);
  Probe(pipeline.get(), "k", "src", &AtOnce::In, &at_once);
  if (stream.at_once) Probe(pipeline.get(), "decoder", "src", &AtOnce::Out, &at_once);
  EXPECT_EQ(RunToTheEnd(pipeline.get()), "");

  const std::lock_guard lock(turn);
  EXPECT_EQ(full.frames.size(), 36u);
  EXPECT_EQ(keys.count, kKeyframes);
  EXPECT_EQ(StatOf(pipeline.get(), "frames-in"), 36u);
  EXPECT_EQ(StatOf(pipeline.get(), "passed"), kKeyframes);
  guint64 number = 0;
  for (const auto& [pts, frame] : keys.frames) {
    SCOPED_TRACE(pts);
    ASSERT_TRUE(full.frames.count(pts));
    ExpectSame(frame, full.frames.at(pts));
    EXPECT_EQ(frame.tags.at(0).label, "a ball");
    EXPECT_EQ(std::distance(full.frames.begin(), full.frames.find(pts)),
              static_cast<ptrdiff_t>(12 * number++));
  }
  if (stream.at_once) {
    EXPECT_EQ(at_once.late, 0) << "a keyframe was held back until the next one came";
    EXPECT_EQ(at_once.out, static_cast<int>(kKeyframes));
  }
}

INSTANTIATE_TEST_SUITE_P(Encoders, KeyframesOf, ::testing::ValuesIn(kStreams),
                         [](const auto& info) { return std::string(info.param.name); });

struct Unit {
  std::vector<uint8_t> bytes;
  bool delta;
};

struct Units {
  std::vector<Unit> all;

  static void Handoff(GstElement*, GstBuffer* buffer, GstPad*, gpointer self) {
    auto* units = static_cast<Units*>(self);
    std::vector<uint8_t> bytes(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
    const std::lock_guard lock(turn);
    units->all.push_back(
        {std::move(bytes), bool{GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT)}});
  }
};

struct Encoder {
  const char* name;
  std::string launch;
  VideoCodec codec;
  NalFraming framing;
};

const Encoder kEncoders[] = {
    {"X264", kX264B + " ! video/x-h264,stream-format=byte-stream", VideoCodec::kH264,
     NalFraming::kStartCodes},
    {"X264OpenGop", kOpenGop + " ! video/x-h264,stream-format=byte-stream", VideoCodec::kH264,
     NalFraming::kStartCodes},
    {"OpenH264", "openh264enc gop-size=12", VideoCodec::kH264, NalFraming::kStartCodes},
    {"X265", kX265 + " ! video/x-h265,stream-format=byte-stream", VideoCodec::kH265,
     NalFraming::kStartCodes},
    {"Vp8", "vp8enc keyframe-max-dist=12 deadline=1", VideoCodec::kVp8, NalFraming::kNone},
    {"Vp9", "vp9enc keyframe-max-dist=12 deadline=1 cpu-used=8 lag-in-frames=10", VideoCodec::kVp9,
     NalFraming::kNone},
    {"Av1", "av1enc keyframe-max-dist=12 cpu-used=8", VideoCodec::kAv1, NalFraming::kNone},
};

class ParserOn : public ::testing::TestWithParam<Encoder> {};

// Encoders say in their flags what they have made; and what they have made, damaged.
TEST_P(ParserOn, SaysWhatTheEncoderSaysAndStandsDamage) {
  const Encoder& encoder = GetParam();
  const std::string missing = MissingIn(encoder.launch);
  if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
  const PipelinePtr pipeline =
      Parse(kSource + encoder.launch + " ! fakesink signal-handoffs=true name=sink");
  Units gathered;
  GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline.get()), "sink");
  g_signal_connect(sink, "handoff", G_CALLBACK(&Units::Handoff), &gathered);
  gst_object_unref(sink);
  ASSERT_EQ(RunToTheEnd(pipeline.get()), "");
  const std::lock_guard lock(turn);
  const std::vector<Unit>& units = gathered.all;
  ASSERT_GE(units.size(), 36u);

  KeyframeParser parser(encoder.codec, encoder.framing, {});
  std::vector<ParameterSet> sets;
  size_t keyframes = 0;
  for (const Unit& unit : units) {
    const Picture picture = parser.Parse(unit.bytes, &sets);
    EXPECT_EQ(picture.kind, unit.delta ? PictureKind::kOther : PictureKind::kKeyframe)
        << "unit " << &unit - units.data();
    EXPECT_FALSE(picture.damaged);
    keyframes += picture.kind == PictureKind::kKeyframe;
  }
  EXPECT_EQ(keyframes, kKeyframes);

  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint8_t> bytes = units[random() % units.size()].bytes;
    if (round % 2 == 0) bytes.resize(random() % bytes.size());
    // Most of it where the headers are.
    for (int flips = 0; flips < 8 && !bytes.empty(); ++flips) {
      const size_t reach = flips < 6 ? std::min<size_t>(bytes.size(), 48) : bytes.size();
      bytes[random() % reach] ^= static_cast<uint8_t>(1u << (random() % 8));
    }
    const auto exact = std::make_unique<uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    const Picture picture = parser.Parse({exact.get(), bytes.size()}, &sets);
    EXPECT_LE(picture.headers_at, bytes.size());
    for (const ParameterSet& set : sets) {
      EXPECT_LE(set.nal.data() + set.nal.size(), exact.get() + bytes.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Encoders, ParserOn, ::testing::ValuesIn(kEncoders),
                         [](const auto& info) { return std::string(info.param.name); });

// Gone with its object.
class TempFile {
 public:
  TempFile() {
    gchar* name = nullptr;
    const gint fd = g_file_open_tmp("cliptag-keyframes-XXXXXX", &name, nullptr);
    EXPECT_GE(fd, 0);
    close(fd);
    name_ = name;
    g_free(name);
  }
  ~TempFile() { std::remove(name_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

// Pixels from the stream after a seek: the keyframe before it, and the ones after.
TEST(KeyframesInAFile, SeeksForwardsAndBackwards) {
  const std::string missing = MissingIn("x264enc ! matroskamux ! matroskademux ! avdec_h264");
  if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
  const TempFile temp;
  const std::string& file = temp.name();
  const PipelinePtr writer =
      Parse("videotestsrc num-buffers=240 ! video/x-raw,width=64,height=64,framerate=24/1 ! " +
            kX264B + " ! h264parse ! matroskamux ! filesink location=" + file);
  ASSERT_EQ(RunToTheEnd(writer.get()), "");
  const PipelinePtr pipeline = Parse(
      "filesrc location=" + file +
      " ! matroskademux ! h264parse ! cliptagkeyframes name=k ! avdec_h264 ! fakesink sync=false "
      "signal-handoffs=true name=keys");
  Collector keys;
  Connect(pipeline.get(), "keys", &keys);
  GstBus* bus = gst_element_get_bus(pipeline.get());
  const auto times = [&] {
    const MessagePtr end(gst_bus_timed_pop_filtered(
        bus, 60 * GST_SECOND,
        static_cast<GstMessageType>(int{GST_MESSAGE_EOS} | int{GST_MESSAGE_ERROR})));
    EXPECT_TRUE(end && GST_MESSAGE_TYPE(end.get()) == GST_MESSAGE_EOS);
    std::vector<guint64> milliseconds;
    const std::lock_guard lock(turn);
    for (const auto& [pts, frame] : keys.frames) milliseconds.push_back(pts / GST_MSECOND);
    keys.frames.clear();
    return milliseconds;
  };
  const auto every_half = [](guint64 from, guint64 to) {
    std::vector<guint64> expected;
    for (guint64 t = from; t < to; t += 500) expected.push_back(t);
    return expected;
  };
  { const std::lock_guard all_is_set(turn); }
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  EXPECT_EQ(times(), every_half(0, 10000));
  const auto seek = [&](gdouble rate, GstClockTime start, GstClockTime stop) {
    return gst_element_seek(
        pipeline.get(), rate, GST_FORMAT_TIME,
        static_cast<GstSeekFlags>(int{GST_SEEK_FLAG_FLUSH} | int{GST_SEEK_FLAG_ACCURATE}),
        GST_SEEK_TYPE_SET, static_cast<gint64>(start), GST_SEEK_TYPE_SET,
        static_cast<gint64>(stop));
  };
  ASSERT_TRUE(seek(1, 4 * GST_SECOND, 8 * GST_SECOND));
  EXPECT_EQ(times(), every_half(4000, 8000));
  ASSERT_TRUE(seek(2, 6 * GST_SECOND, 10 * GST_SECOND));
  EXPECT_EQ(times(), every_half(6000, 10000));
  ASSERT_TRUE(seek(-1, 2 * GST_SECOND, 5 * GST_SECOND));
  EXPECT_EQ(times(), every_half(2000, 5000));
  gst_object_unref(bus);
}

// A file of a bare stream: no picture says when it is shown, and the parser only when it is
// decoded.
TEST(KeyframesInAFile, OfABareStreamHaveTheTimesOfFullDecoding) {
  for (const auto& [encoder, parser, decoder] :
       {std::array{kX264, std::string("h264parse"), std::string("avdec_h264")},
        std::array{kX264B, std::string("h264parse"), std::string("avdec_h264")},
        // Of open GOPs the keyframe would be early by the pictures that are shown before it.
        std::array{kX265 + ":open-gop=0", std::string("h265parse"), std::string("avdec_h265")}}) {
    SCOPED_TRACE(encoder);
    const std::string missing = MissingIn(encoder + " ! " + parser + " ! " + decoder);
    if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
    TempFile file;
    const PipelinePtr writer = Parse(
        kSource + encoder + " ! " + parser + " ! capsfilter caps=\"video/x-" + parser.substr(0, 4) +
        ",stream-format=byte-stream\" ! " + "filesink location=" + file.name());
    ASSERT_EQ(RunToTheEnd(writer.get()), "");
    // Clang 14 captures a structured binding by name alone.
    const auto run = [&, &parser = parser, &decoder = decoder](const std::string& between,
                                                               Collector* frames) {
      const PipelinePtr reader =
          Parse("filesrc location=" + file.name() + " ! " + parser + between + " ! " + decoder +
                " ! fakesink sync=false signal-handoffs=true name=sink");
      ASSERT_NE(reader, nullptr);
      Connect(reader.get(), "sink", frames);
      EXPECT_EQ(RunToTheEnd(reader.get()), "");
    };
    Collector full, keys;
    run("", &full);
    run(" ! cliptagkeyframes", &keys);
    const std::lock_guard lock(turn);
    EXPECT_EQ(full.frames.size(), 36u);
    ASSERT_EQ(keys.frames.size(), kKeyframes);
    for (const auto& [pts, frame] : keys.frames) {
      ASSERT_TRUE(full.frames.count(pts)) << pts;
      EXPECT_EQ(frame.pixels, full.frames.at(pts).pixels) << pts;
    }
  }
}

// The recipe of pipelines/README.md for a file that a camera could have sent.
TEST(KeyframesInAPipeline, OneLookASecond) {
  const std::string missing =
      MissingIn("openh264enc ! rtph264pay ! rtph264depay ! h264parse ! decodebin");
  if (!missing.empty()) GTEST_SKIP() << missing << " is not installed";
  const RunResult run = RunPipeline(
      "videotestsrc num-buffers=120 pattern=ball ! "
      "video/x-raw,format=I420,width=160,height=120,framerate=24/1 ! openh264enc gop-size=12 ! "
      "h264parse config-interval=-1 ! rtph264pay ! rtph264depay ! h264parse ! cliptagkeyframes "
      "max-rate=1/1 ! decodebin ! videoconvert ! cliptag prompts=\"a ball; a car; a dog\" ! "
      "fakesink");
  EXPECT_EQ(run.error, "");
  EXPECT_TRUE(run.eos);
  EXPECT_EQ(run.frames.size(), 5u);
  for (const TagResult& frame : run.frames) EXPECT_EQ(frame.best, "a ball");
}

}  // namespace
}  // namespace cliptag::test
