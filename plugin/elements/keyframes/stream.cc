#include "plugin/elements/keyframes/stream.h"

#include <cstring>
#include <string>
#include <utility>

#include "plugin/elements/keyframes/refusal.h"

GST_DEBUG_CATEGORY_EXTERN(gst_clip_tag_keyframes_debug);
#define GST_CAT_DEFAULT gst_clip_tag_keyframes_debug

namespace cliptag {
namespace {

class ReadMap {
 public:
  explicit ReadMap(GstBuffer* buffer)
      : buffer_(buffer), mapped_(gst_buffer_map(buffer, &map_, GST_MAP_READ)) {}
  ~ReadMap() {
    if (mapped_) gst_buffer_unmap(buffer_, &map_);
  }
  ReadMap(const ReadMap&) = delete;
  ReadMap& operator=(const ReadMap&) = delete;

  bool ok() const { return mapped_; }
  std::span<const uint8_t> bytes() const { return {map_.data, map_.size}; }

 private:
  GstBuffer* buffer_;
  GstMapInfo map_{};
  bool mapped_;
};

VideoCodec CodecOf(const GstStructure* caps) {
  const std::string name = gst_structure_get_name(caps);
  if (name == "video/x-h264") return VideoCodec::kH264;
  if (name == "video/x-h265") return VideoCodec::kH265;
  if (name == "video/x-vp8") return VideoCodec::kVp8;
  if (name == "video/x-vp9") return VideoCodec::kVp9;
  return VideoCodec::kAv1;
}

NalFraming FramingOf(const GstStructure* caps, VideoCodec codec) {
  if (codec != VideoCodec::kH264 && codec != VideoCodec::kH265) return NalFraming::kNone;
  const gchar* format = gst_structure_get_string(caps, "stream-format");
  return format != nullptr && std::strcmp(format, "byte-stream") == 0 ? NalFraming::kStartCodes
                                                                      : NalFraming::kLengths;
}

std::vector<uint8_t> CodecDataOf(const GstStructure* caps) {
  const GValue* value = gst_structure_get_value(caps, "codec_data");
  if (value == nullptr || !GST_VALUE_HOLDS_BUFFER(value)) return {};
  GstBuffer* buffer = gst_value_get_buffer(value);
  if (buffer == nullptr) return {};
  const ReadMap map(buffer);
  if (!map.ok()) return {};
  return {map.bytes().begin(), map.bytes().end()};
}

GstClockTime FrameDurationOf(const GstStructure* caps) {
  gint n = 0, d = 0;
  if (!gst_structure_get_fraction(caps, "framerate", &n, &d) || n <= 0 || d <= 0) {
    return GST_CLOCK_TIME_NONE;
  }
  return gst_util_uint64_scale(GST_SECOND, static_cast<guint64>(d), static_cast<guint64>(n));
}

}  // namespace

GstFlowReturn KeyframeStream::Chain(GstBuffer* raw) {
  BufferPtr buffer(raw);
  const std::lock_guard lock(stream_mutex_);
  if (!have_caps_) {
    GST_ELEMENT_ERROR(element_, CORE, NEGOTIATION,
                      ("The encoded video comes without caps, which say what it is; put the parser "
                       "of its codec (h264parse, h265parse, av1parse) or a demuxer before "
                       "cliptagkeyframes."),
                      (nullptr));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  Decision decision = Decide(buffer.get());
  if (decision.fate == Fate::kHeaders) {
    // Not a picture: has no influence on gaps.
    return gst_pad_push(src_pad_, buffer.release());
  }
  Count(decision);
  Watch(buffer.get(), decision);
  if (decision.fate == Fate::kDrop) {
    dropped_since_ = true;
    PushGap(gaps_.Dropped(buffer.get()));
    return GST_FLOW_OK;
  }
  PushGap(gaps_.BeforeKeyframe(buffer.get()));
  buffer = Prepare(std::move(buffer), decision);
  gaps_.KeyframeSent(buffer.get());
  return gst_pad_push(src_pad_, buffer.release());
}

KeyframeStream::Decision KeyframeStream::Decide(GstBuffer* buffer) {
  Decision decision;
  const ReadMap map(buffer);  // sets_ borrows from it
  Picture picture;
  if (gst_buffer_get_size(buffer) == 0) {
    WarnOnce("is empty");
  } else if (!map.ok()) {
    WarnOnce("cannot be mapped, so only its flags count");
    picture.kind = PictureKind::kUnknown;
  } else if (gst_buffer_get_protection_meta(buffer) != nullptr) {
    picture.kind = PictureKind::kUnknown;  // encrypted
  } else {
    picture = parser_.Parse(map.bytes(), &sets_);
    if (picture.damaged) {
      WarnOnce(picture.kind == PictureKind::kDamaged ? "is broken or of another codec"
                                                     : "is broken in part");
    }
  }
  decision.keyframe = picture.kind == PictureKind::kUnknown
                          ? !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT)
                          : picture.kind == PictureKind::kKeyframe;
  decision.fate = picture.kind == PictureKind::kHeaders ? Fate::kHeaders
                  : decision.keyframe && IsDue(buffer)  ? Fate::kKeep
                                                        : Fate::kDrop;
  decision.intra = picture.intra;
  decision.headers_at = picture.headers_at;
  bool all = true;
  if (decision.fate == Fate::kKeep) {
    decision.headers = memory_.TakeMissing(sets_, parser_);
  } else {
    all = decision.fate == Fate::kDrop ? memory_.Dropped(sets_) : memory_.Sent(sets_);
  }
  if (!all) WarnOnce("has more parameter sets than a stream may have; some are forgotten");
  sets_.clear();
  return decision;
}

void KeyframeStream::Count(const Decision& decision) {
  const std::lock_guard lock(mutex_);
  ++counts_.frames_in;
  if (decision.keyframe) ++counts_.keyframes;
  ++(decision.fate == Fate::kKeep ? counts_.passed : counts_.dropped);
}

void KeyframeStream::WarnOnce(const char* what) {
  if (std::exchange(warned_, true)) return;
  GST_ELEMENT_WARNING(element_, STREAM, DECODE,
                      ("A buffer of the encoded video %s. Buffers without a recognised keyframe "
                       "are dropped. There are no more warnings like this.",
                       what),
                      (nullptr));
}

void KeyframeStream::Watch(const GstBuffer* buffer, const Decision& decision) {
  if (decision.keyframe) {
    watch_.Keyframe(TimeOf(buffer));
    return;
  }
  switch (watch_.Other(TimeOf(buffer), decision.intra)) {
    case KeyframeWatch::Verdict::kFine:
      return;
    case KeyframeWatch::Verdict::kNoEntryPoint:
      GST_ELEMENT_WARNING(
          element_, STREAM, DECODE,
          ("No keyframe has passed for long. The stream has I pictures, but they are not IDR "
           "pictures and have no recovery point SEI, as in an open GOP of some encoders; configure "
           "the encoder for closed GOPs or recovery points, or remove cliptagkeyframes."),
          (nullptr));
      return;
    case KeyframeWatch::Verdict::kNoKeyframe:
      GST_ELEMENT_WARNING(
          element_, STREAM, DECODE,
          ("No keyframe has passed for long: the stream has none. Configure the camera or encoder "
           "for more keyframes (GOP, I-frame interval, key-int-max; gradual intra refresh has "
           "none), or remove cliptagkeyframes."),
          (nullptr));
      return;
  }
}

bool KeyframeStream::IsDue(const GstBuffer* buffer) {
  const GstClockTime running_time =
      segment_.format == GST_FORMAT_TIME
          ? gst_segment_to_running_time(&segment_, GST_FORMAT_TIME, TimeOf(buffer))
          : GST_CLOCK_TIME_NONE;
  return schedule_.TakeIfDue(running_time, max_rate().period());
}

// Inserts headers and sets the flags, and the PTS if it is missing.
BufferPtr KeyframeStream::Prepare(BufferPtr buffer, const Decision& decision) {
  if (!decision.headers.empty()) {
    buffer = WithHeaders(std::move(buffer), decision.headers_at, decision.headers);
  }
  const bool delta = GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT);
  const bool discont = std::exchange(dropped_since_, false);
  // A keyframe of an elementary stream: without a PTS decoders would compute one from the number of
  // pictures that they get.
  const bool untimed =
      !GST_BUFFER_PTS_IS_VALID(buffer.get()) && GST_BUFFER_DTS_IS_VALID(buffer.get());
  if (!delta && !discont && !untimed) return buffer;
  buffer.reset(gst_buffer_make_writable(buffer.release()));
  if (untimed) GST_BUFFER_PTS(buffer.get()) = GST_BUFFER_DTS(buffer.get());
  GST_BUFFER_FLAG_UNSET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT);
  if (discont) GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT);
  return buffer;
}

// Shares the picture's memory.
BufferPtr KeyframeStream::WithHeaders(BufferPtr buffer, size_t at,
                                      const std::vector<uint8_t>& headers) {
  constexpr auto kAllButMemory = static_cast<GstBufferCopyFlags>(
      int{GST_BUFFER_COPY_FLAGS} | int{GST_BUFFER_COPY_TIMESTAMPS} | int{GST_BUFFER_COPY_META});
  BufferPtr with(gst_buffer_new());
  gst_buffer_copy_into(with.get(), buffer.get(), kAllButMemory, 0, -1);
  if (at > 0) gst_buffer_copy_into(with.get(), buffer.get(), GST_BUFFER_COPY_MEMORY, 0, at);
  GstBuffer* added = gst_buffer_new_memdup(headers.data(), headers.size());
  gst_buffer_append_memory(with.get(), gst_buffer_get_memory(added, 0));
  gst_buffer_unref(added);
  gst_buffer_copy_into(with.get(), buffer.get(), GST_BUFFER_COPY_MEMORY, at, -1);
  return with;
}

void KeyframeStream::PushGap(const std::optional<Gap>& gap) {
  if (gap) gst_pad_push_event(src_pad_, gst_event_new_gap(gap->start, gap->duration));
}

bool KeyframeStream::SinkEvent(GstEvent* raw) {
  EventPtr event(raw);
  // Other events may come while the streaming thread holds the lock.
  if (GST_EVENT_IS_SERIALIZED(raw)) event = Note(std::move(event));
  return gst_pad_push_event(src_pad_, event.release());
}

// Returns the event to forward.
EventPtr KeyframeStream::Note(EventPtr event) {
  const std::lock_guard lock(stream_mutex_);
  const GstEventType type = GST_EVENT_TYPE(event.get());
  if (type == GST_EVENT_FLUSH_STOP) {
    gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
    gaps_.SetSegment(segment_);
    schedule_.Reset();
    watch_.Jump();
    dropped_since_ = false;
  } else if (type == GST_EVENT_STREAM_START) {
    PushGap(gaps_.Rest());
    Forget();
  } else if (type == GST_EVENT_CAPS) {
    PushGap(gaps_.Rest());
    GstCaps* caps = nullptr;
    gst_event_parse_caps(event.get(), &caps);
    SetCaps(caps);
  } else if (type == GST_EVENT_SEGMENT) {
    PushGap(gaps_.Rest());
    gst_event_copy_segment(event.get(), &segment_);
    gaps_.SetSegment(segment_);
    watch_.Jump();
    // The schedule is in running time, which continues in the next segment.
    return WithKeyUnitsFlag(std::move(event));
  } else if (type == GST_EVENT_EOS) {
    PushGap(gaps_.Rest());
  }
  return event;
}

// Once, since upstream sends the same caps again before each buffer.
void KeyframeStream::Refuse(const GstCaps* caps) {
  const std::lock_guard lock(stream_mutex_);
  if (std::exchange(refused_, true)) return;
  GST_ELEMENT_ERROR(element_, CORE, NEGOTIATION, ("%s", WhyRefused(caps).c_str()), (nullptr));
}

// Marks the segment as consisting of keyframes only. Decoders then output each one at once and do
// not wait for pictures that are shown before it.
EventPtr KeyframeStream::WithKeyUnitsFlag(EventPtr event) const {
  GstSegment segment = segment_;
  segment.flags =
      static_cast<GstSegmentFlags>(int{segment.flags} | int{GST_SEGMENT_FLAG_TRICKMODE} |
                                   int{GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS});
  EventPtr flagged(gst_event_new_segment(&segment));
  gst_event_set_seqnum(flagged.get(), gst_event_get_seqnum(event.get()));
  gst_event_set_running_time_offset(flagged.get(), gst_event_get_running_time_offset(event.get()));
  return flagged;
}

void KeyframeStream::SetCaps(GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  const VideoCodec codec = CodecOf(structure);
  const NalFraming framing = FramingOf(structure, codec);
  std::vector<uint8_t> codec_data = CodecDataOf(structure);
  gaps_.SetFrameDuration(FrameDurationOf(structure));
  // Parsers also send new caps for a new frame rate or size; our parser keeps its state then.
  if (have_caps_ && codec == codec_ && framing == framing_ && codec_data == codec_data_) return;
  parser_ = KeyframeParser(codec, framing, codec_data);
  memory_.Clear();
  schedule_.Reset();
  codec_ = codec;
  framing_ = framing;
  codec_data_ = std::move(codec_data);
  have_caps_ = true;
}

void KeyframeStream::Forget() {
  have_caps_ = false;
  memory_.Clear();
  schedule_.Reset();
  gaps_.Restart();
  watch_.Reset();
  dropped_since_ = refused_ = false;
}

void KeyframeStream::Reset() {
  const std::lock_guard lock(stream_mutex_);
  Forget();
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
  gaps_.SetSegment(segment_);
  warned_ = false;
  const std::lock_guard counts_lock(mutex_);
  counts_ = Counts();
}

void KeyframeStream::SetMaxRate(Rate rate) {
  const std::lock_guard lock(mutex_);
  max_rate_ = rate;
}

Rate KeyframeStream::max_rate() const {
  const std::lock_guard lock(mutex_);
  return max_rate_;
}

GstStructure* KeyframeStream::Stats() const {
  const std::lock_guard lock(mutex_);
  return gst_structure_new("cliptagkeyframes-stats", "frames-in", G_TYPE_UINT64, counts_.frames_in,
                           "keyframes", G_TYPE_UINT64, counts_.keyframes, "passed", G_TYPE_UINT64,
                           counts_.passed, "dropped", G_TYPE_UINT64, counts_.dropped, nullptr);
}

}  // namespace cliptag
