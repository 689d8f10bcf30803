// A video decoder's library that decodes nothing: GStreamer registers cudaupload and cudadownload
// only where it finds this one or NVENC's.
namespace {
constexpr int kNotSupported = 801;
}

// The arguments are nobody's business, and the caller of a C function removes them by itself.
#define NOT_SUPPORTED(name) \
  int name() { return kNotSupported; }

// NOLINTBEGIN: these are the decoder's names
extern "C" {
NOT_SUPPORTED(cuvidCreateDecoder)
NOT_SUPPORTED(cuvidCreateVideoParser)
NOT_SUPPORTED(cuvidCtxLock)
NOT_SUPPORTED(cuvidCtxLockCreate)
NOT_SUPPORTED(cuvidCtxLockDestroy)
NOT_SUPPORTED(cuvidCtxUnlock)
NOT_SUPPORTED(cuvidDecodePicture)
NOT_SUPPORTED(cuvidDestroyDecoder)
NOT_SUPPORTED(cuvidDestroyVideoParser)
// Says nothing, of which GStreamer has made "not supported" before it asks.
int cuvidGetDecoderCaps() { return 0; }
NOT_SUPPORTED(cuvidMapVideoFrame)
NOT_SUPPORTED(cuvidMapVideoFrame64)
NOT_SUPPORTED(cuvidParseVideoData)
NOT_SUPPORTED(cuvidUnmapVideoFrame)
NOT_SUPPORTED(cuvidUnmapVideoFrame64)
}
// NOLINTEND
