#include "plugin/cli/bench/stream.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace cliptag {
namespace {

constexpr const char kMetaName[] = "GstCliptagMeta";

// The age that the tags on a buffer say they have; false where there are none.
bool AgeOf(GstBuffer* buffer, guint64* age) {
  // Asked for by name, the meta of a plugin that has not been loaded would be a warning.
  if (gst_meta_get_info(kMetaName) == nullptr) return false;
  GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, kMetaName);
  if (meta == nullptr) return false;
  return gst_structure_get_uint64(gst_custom_meta_get_structure(meta), "age", age);
}

Status ErrorOf(GstMessage* message) {
  GError* error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  const std::string text = error != nullptr ? error->message : "an element failed and said nothing";
  g_clear_error(&error);
  return Internal(text);
}

}  // namespace

Status FindCliptagElement() {
  GstElementFactory* factory = gst_element_factory_find("cliptag");
  if (factory == nullptr) {
    std::error_code ignored;
    const auto exe = std::filesystem::read_symlink("/proc/self/exe", ignored);
    const std::string beside = exe.parent_path().parent_path() / "elements" / "libgstcliptag.so";
    if (GstPlugin* plugin = gst_plugin_load_file(beside.c_str(), nullptr); plugin != nullptr) {
      gst_object_unref(plugin);
      factory = gst_element_factory_find("cliptag");
    }
  }
  if (factory == nullptr) {
    return NotFound(
        "GStreamer does not find the element cliptag: install the plugin, or name its directory in "
        "GST_PLUGIN_PATH");
  }
  gst_object_unref(factory);
  return {};
}

Result<std::unique_ptr<BenchStream>> BenchStream::Make(const BenchStreamOptions& options,
                                                       BenchFeed* feed) {
  std::unique_ptr<BenchStream> stream(new BenchStream(options, feed));
  CLIPTAG_RETURN_IF_ERROR(stream->Build());
  return stream;
}

Status BenchStream::Build() {
  pipeline_ = gst_pipeline_new(nullptr);
  gst_object_ref_sink(pipeline_);
  GstElement* source = MakeBenchSource(feed_);
  const char* kind = options_.identity ? "identity" : "cliptag";
  tagger_ = gst_element_factory_make(kind, nullptr);
  GstElement* sink = gst_element_factory_make("fakesink", nullptr);
  if (tagger_ == nullptr || sink == nullptr) {
    for (GstElement* element : {source, tagger_, sink}) {
      if (element != nullptr) gst_object_unref(gst_object_ref_sink(element));
    }
    return NotFound(std::string("GStreamer does not make the element ") +
                    (tagger_ == nullptr ? kind : "fakesink"));
  }
  g_object_set(sink, "sync", FALSE, "async", FALSE, "enable-last-sample", FALSE, nullptr);
  if (!options_.identity) SetUpTagger();
  gst_bin_add_many(GST_BIN(pipeline_), source, tagger_, sink, nullptr);
  if (!gst_element_link_many(source, tagger_, sink, nullptr)) {
    return Internal(std::string("GStreamer does not link the frames to ") + kind);
  }
  GstPad* pad = gst_element_get_static_pad(sink, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, &BenchStream::OnBuffer, this, nullptr);
  gst_object_unref(pad);
  GstBus* bus = gst_element_get_bus(pipeline_);
  gst_bus_set_sync_handler(bus, &BenchStream::OnMessage, this, nullptr);
  gst_object_unref(bus);
  return {};
}

void BenchStream::SetUpTagger() {
  GObject* object = G_OBJECT(tagger_);
  const auto set = [object](const char* name, const std::string& value) {
    gst_util_set_object_arg(object, name, value.c_str());
  };
  g_object_set(object, "model", options_.model.model.c_str(), "prompts", options_.prompts, nullptr);
  set("backend", ToString(options_.model.backend));
  set("precision", ToString(options_.model.precision));
  set("threads", std::to_string(options_.model.threads));
  set("mode", options_.mode);
  set("max-rate", options_.max_rate);
  set("max-batch", std::to_string(options_.max_batch));
}

BenchStream::~BenchStream() {
  if (pipeline_ == nullptr) return;
  Stop();
  GstBus* bus = gst_element_get_bus(pipeline_);
  gst_bus_set_sync_handler(bus, nullptr, nullptr, nullptr);
  gst_object_unref(bus);
  gst_object_unref(pipeline_);
}

Status BenchStream::Start(GstClock* clock, guint64 base_time_ns) {
  clock_ = clock;
  base_time_ns_ = base_time_ns;
  { const BenchTurn all_is_set; }
  gst_pipeline_use_clock(GST_PIPELINE(pipeline_), clock);
  gst_element_set_start_time(pipeline_, GST_CLOCK_TIME_NONE);  // the base time is ours
  gst_element_set_base_time(pipeline_, base_time_ns);
  if (gst_element_set_state(pipeline_, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE) return {};
  CLIPTAG_RETURN_IF_ERROR(error());
  return Internal("a pipeline does not start");
}

void BenchStream::Release() {
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
  }
  release_.notify_all();
}

void BenchStream::Stop() {
  Release();
  gst_element_set_state(pipeline_, GST_STATE_NULL);
  const BenchTurn turn;
}

Status BenchStream::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

BenchStreamCounts BenchStream::Counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

guint64 BenchStream::RunningTime() const {
  const guint64 now = gst_clock_get_time(clock_);
  return now > base_time_ns_ ? now - base_time_ns_ : 0;
}

GstPadProbeReturn BenchStream::OnBuffer(GstPad*, GstPadProbeInfo* info, gpointer self) {
  const BenchTurn turn;
  auto* stream = static_cast<BenchStream*>(self);
  stream->Count(GST_PAD_PROBE_INFO_BUFFER(info));
  if (stream->options_.hostility == Hostility::kStuckSink) stream->WaitForRelease();
  return GST_PAD_PROBE_OK;
}

void BenchStream::Count(GstBuffer* buffer) {
  ++arrived_;
  if (!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_MARKER)) return;
  const guint64 now = RunningTime();
  guint64 age = 0;
  const bool tagged = AgeOf(buffer, &age);
  const std::lock_guard lock(mutex_);
  ++counts_.frames;
  // The segment starts at zero, so time stamps are running time.
  if (feed_->live && now > GST_BUFFER_PTS(buffer) + kLateNs) ++counts_.late;
  if (tagged) counts_.age.Add(age);
}

void BenchStream::WaitForRelease() {
  std::unique_lock lock(mutex_);
  release_.wait(lock, [this] { return released_; });
}

// Messages are looked at where they are posted, so that none piles up on a bus.
GstBusSyncReply BenchStream::OnMessage(GstBus*, GstMessage* message, gpointer self) {
  const BenchTurn turn;
  auto* stream = static_cast<BenchStream*>(self);
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ELEMENT:
      if (gst_message_has_name(message, "cliptag")) {
        stream->CountLook(gst_message_get_structure(message));
      }
      break;
    case GST_MESSAGE_EOS:
      stream->ended_ = true;
      break;
    case GST_MESSAGE_ERROR: {
      Status error = ErrorOf(message);
      const std::lock_guard lock(stream->mutex_);
      if (stream->error_.ok()) stream->error_ = std::move(error);
      break;
    }
    default:
      break;
  }
  gst_message_unref(message);
  return GST_BUS_DROP;
}

// A look belongs to the window by the time of its frame; without a clock behind the frames, by when
// it is done.
void BenchStream::CountLook(const GstStructure* look) {
  ++looks_;
  guint64 time = 0;
  if (!feed_->live) {
    time = RunningTime();
  } else if (!gst_structure_get_uint64(look, "pts", &time)) {
    return;
  }
  if (!feed_->window->Holds(time)) return;
  const std::lock_guard lock(mutex_);
  ++counts_.looks;
}

}  // namespace cliptag
