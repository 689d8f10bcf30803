"""A camera for tests: rtsp://127.0.0.1:PORT/camera, a ball as JPEG over RTP, until it is killed. Says
`ready` when it is to be called. Exits with 77 where GStreamer's RTSP server is not installed."""
import sys

try:
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer
except (ImportError, ValueError) as e:
    print(f"no RTSP server: {e}", file=sys.stderr)
    sys.exit(77)

PICTURE = ("( videotestsrc is-live=true pattern=ball ! "
           "video/x-raw,format=I420,width=160,height=120,framerate=10/1 ! "
           "jpegenc ! rtpjpegpay name=pay0 pt=26 )")

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(PICTURE)
factory.set_shared(True)
server.get_mount_points().add_factory("/camera", factory)
if not server.attach(None):
    sys.exit(f"port {sys.argv[1]} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
