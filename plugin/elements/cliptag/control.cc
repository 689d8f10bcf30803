// Start and stop, settings: what happens beside the stream.
#include <utility>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {

ClipTag::ClipTag(GstElement* element, GstPad* sink_pad, GstPad* src_pad)
    : element_(element),
      sink_pad_(sink_pad),
      src_pad_(src_pad),
      cuda_(element),
      publisher_(element),
      reader_(sink_pad, &cuda_) {
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
}

Settings ClipTag::settings() const {
  Settings settings;
  {
    const std::lock_guard lock(settings_mutex_);
    settings = settings_;
  }
  settings.prompts = prompts_.settings();
  return settings;
}

bool ClipTag::running() const {
  const std::lock_guard lock(control_mutex_);
  return stream_ != nullptr;
}

FrameSettings ClipTag::frame_settings() const {
  const std::lock_guard lock(settings_mutex_);
  return settings_.frame;
}

Publisher::Options ClipTag::publish_options() const {
  const std::lock_guard lock(settings_mutex_);
  return {settings_.frame.post_messages, settings_.frame.attach_embedding};
}

bool ClipTag::Start() {
  const GlibTurn turn(this);
  const Settings settings = this->settings();
  Result<PromptsController::First> prompts = prompts_.Read();  // before the model, which costs more
  if (!prompts.ok()) {
    PostStartError(prompts.status());
    return false;
  }
  Result<std::shared_ptr<Engine>> engine = CreateEngine(settings);
  if (!engine.ok()) {
    PostStartError(engine.status());
    return false;
  }
  const BackendInfo& backend = (*engine)->backend();
  const std::vector<std::string>& model_warnings = (*engine)->model().warnings;
  GST_INFO_OBJECT(element_, "model %s on %s in %s: %s", (*engine)->model().name.c_str(),
                  ToString(backend.kind), ToString(backend.precision), backend.description.c_str());
  {
    const std::lock_guard lock(control_mutex_);
    engine_ = engine.Take();
    stream_ = engine_->OpenStream();
    stream_->SetPolicy(settings.policy);
    model_name_ = engine_->model().name;
    engine_batch_ = static_cast<size_t>(std::max(1, engine_->max_batch()));
  }
  if (const int threads = settings.fixed.backend.threads;
      threads > 0 && backend.kind == BackendKind::kCpu && backend.threads != threads) {
    GST_ELEMENT_WARNING(
        element_, RESOURCE, SETTINGS,
        ("The model runs in this process already, with %d threads: threads=%d is not taken.",
         backend.threads, threads),
        (nullptr));
  }
  for (const std::string& warning : model_warnings) {
    GST_ELEMENT_WARNING(element_, RESOURCE, SETTINGS, ("%s", warning.c_str()), (nullptr));
  }
  warned_not_mappable_ = warned_memory_ = false;
  frames_in_ = 0;
  pacer_.ClearCounts();
  rate_.Clear();
  reported_latency_ = GST_CLOCK_TIME_NONE;
  publisher_.Start();
  metrics_ = OpenMetrics(settings.fixed.metrics_file);
  prompts_.Start(prompts.Take());
  return true;
}

Result<std::shared_ptr<Engine>> ClipTag::CreateEngine(const Settings& settings) {
  EngineOptions options;
  options.model = settings.fixed.model;
  options.backend = settings.fixed.backend;
  options.max_batch = static_cast<int>(settings.frame.max_batch);
  if (MayUseCuda(options.backend) && UpstreamMayUseCuda()) cuda_.Open(options.backend.device);
  options.backend.cuda_context = cuda_.context();
  options.cuda_context_owner = cuda_.Keep();
  const CudaFrames::Scope scope(cuda_);
  CLIPTAG_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, Engine::Share(options));
  const bool shares =
      options.backend.cuda_context != nullptr && engine->backend().kind == BackendKind::kCuda;
  cuda_use_ = shares ? CudaUse::kYes : CudaUse::kNo;
  return engine;
}

// A context that no other element shares would only cost memory of the device.
bool ClipTag::UpstreamMayUseCuda() const {
  if (!CudaFrames::Available()) return false;
  GstPad* peer = gst_pad_get_peer(sink_pad_);
  if (peer == nullptr) return true;  // linked later, by a decodebin for one
  GstCaps* filter =
      gst_caps_from_string((std::string("video/x-raw(") + kCudaMemoryFeature + ")").c_str());
  GstCaps* caps = gst_pad_query_caps(peer, filter);
  const bool may = !gst_caps_is_empty(caps);
  gst_caps_unref(caps);
  gst_caps_unref(filter);
  gst_object_unref(peer);
  return may;
}

void ClipTag::SetContext(GstContext* context) {
  cuda_.SetContext(context, settings().fixed.backend.device);
}

void ClipTag::Stop() {
  const GlibTurn turn(this);
  metrics_.reset();  // the last numbers, while they are there
  prompts_.Stop();
  std::shared_ptr<Engine> engine;
  std::unique_ptr<EngineStream> stream;
  {
    const std::lock_guard lock(control_mutex_);
    stream.swap(stream_);
    engine.swap(engine_);
  }
  stream.reset();  // waits for callbacks, so nothing of the engine touches this object afterwards
  live_.Drop();
  publisher_.EndActive(publish_options());
  liveness_ = Liveness::kUnknown;
  queue_.Reset();
  queue_.Stop(GST_FLOW_FLUSHING);
  {
    const CudaFrames::Scope scope(cuda_);
    engine.reset();
  }
  cuda_use_ = CudaUse::kUndecided;
  cuda_.Close();
  reader_.Forget();
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
  ResetCounters();
}

void ClipTag::ChangeFixed(const char* property, const std::function<void(FixedSettings&)>& change) {
  if (running()) {
    GST_ELEMENT_WARNING(
        element_, RESOURCE, SETTINGS,
        ("The property %s cannot change while the element runs; set it in READY or before.",
         property),
        (nullptr));
    return;
  }
  const std::lock_guard lock(settings_mutex_);
  change(settings_.fixed);
}

void ClipTag::ChangeFrame(const std::function<void(FrameSettings&)>& change) {
  const std::lock_guard lock(settings_mutex_);
  change(settings_.frame);
  forget_still_ = true;  // the same picture may be seen otherwise: turned, in tiles
}

void ClipTag::ChangePolicy(const std::function<void(PolicyOptions&)>& change) {
  // The control lock around both, so that two changes reach the engine in the order of the
  // settings.
  const std::lock_guard control_lock(control_mutex_);
  PolicyOptions policy;
  {
    const std::lock_guard lock(settings_mutex_);
    change(settings_.policy);
    policy = settings_.policy;
  }
  if (stream_) stream_->SetPolicy(policy);
}

GstStructure* ClipTag::Stats() const {
  const RecentValues& ages = publisher_.ages();
  GstStructure* structure = gst_structure_new(
      "cliptag-stats", "frames-in", G_TYPE_UINT64, frames_in_.load(), "frames-tagged",
      G_TYPE_UINT64, publisher_.frames_tagged(), "frames-held", G_TYPE_UINT,
      static_cast<guint>(queue_.frames()), "skipped-late", G_TYPE_UINT64, pacer_.skipped_late(),
      "skipped-still", G_TYPE_UINT64, publisher_.skipped_still(), "messages-dropped", G_TYPE_UINT64,
      publisher_.messages_dropped(), "rate", G_TYPE_DOUBLE, rate_.rate(), "too-slow",
      G_TYPE_BOOLEAN, static_cast<gboolean>(rate_.too_slow()), "age-p50", G_TYPE_UINT64,
      static_cast<guint64>(ages.Quantile(0.5)), "age-p99", G_TYPE_UINT64,
      static_cast<guint64>(ages.Quantile(0.99)), nullptr);
  const std::lock_guard lock(control_mutex_);
  if (!stream_) return structure;
  const StreamStats stats = stream_->stats();
  const BackendInfo& backend = engine_->backend();
  gst_structure_set(structure, "submitted", G_TYPE_UINT64, static_cast<guint64>(stats.submitted),
                    "inferred", G_TYPE_UINT64, static_cast<guint64>(stats.inferred), "failed",
                    G_TYPE_UINT64, static_cast<guint64>(stats.failed), "cancelled", G_TYPE_UINT64,
                    static_cast<guint64>(stats.cancelled), "replaced", G_TYPE_UINT64,
                    static_cast<guint64>(stats.replaced), "pictures", G_TYPE_UINT64,
                    static_cast<guint64>(stats.pictures), "objects-reused", G_TYPE_UINT64,
                    static_cast<guint64>(stats.objects_reused), "queued", G_TYPE_UINT,
                    static_cast<guint>(stats.queued), "batches", G_TYPE_UINT64,
                    static_cast<guint64>(stats.batches), "mean-batch", G_TYPE_DOUBLE,
                    stats.mean_batch, "latency-p50", G_TYPE_UINT64,
                    static_cast<guint64>(stats.latency_p50_ns), "latency-p99", G_TYPE_UINT64,
                    static_cast<guint64>(stats.latency_p99_ns), "model", G_TYPE_STRING,
                    model_name_.c_str(), "backend", G_TYPE_STRING, ToString(backend.kind),
                    "precision", G_TYPE_STRING, ToString(backend.precision), "threads", G_TYPE_UINT,
                    static_cast<guint>(backend.threads), nullptr);
  return structure;
}

}  // namespace cliptag
