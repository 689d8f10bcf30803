// The names of the CUDA driver that GStreamer's headers (gst/cuda) mention, so that they compile
// without NVIDIA's toolkit: handles are opaque, descriptions incomplete. Nothing of the driver is
// called through this: libgstcuda opens it by itself.
#pragma once

#include <cstddef>
#include <cstdint>

#define CUDAAPI

using CUdevice = int;
using CUdeviceptr = uintptr_t;
using CUtexObject = uint64_t;
using CUmemGenericAllocationHandle = uint64_t;

using CUarray = struct CUarray_st*;
using CUcontext = struct CUctx_st*;
using CUevent = struct CUevent_st*;
using CUexternalMemory = struct CUextMemory_st*;
using CUexternalSemaphore = struct CUextSemaphore_st*;
using CUfunction = struct CUfunc_st*;
using CUgraphicsResource = struct CUgraphicsResource_st*;
using CUmemoryPool = struct CUmemPoolHandle_st*;
using CUmipmappedArray = struct CUmipmappedArray_st*;
using CUmodule = struct CUmod_st*;
using CUstream = struct CUstream_st*;

enum CUresult : int { CUDA_SUCCESS = 0 };
enum CUdevice_attribute : int {};
enum CUfilter_mode : int {};
enum CUlimit : int {};
enum CUgraphicsMapResourceFlags : int {};
enum CUgraphicsRegisterFlags : int {};
enum CUmemAllocationGranularity_flags : int {};
enum CUmemAllocationHandleType : int {};
enum CUmemPool_attribute : int {};

struct CUipcEventHandle {
  char reserved[64];
};
struct CUipcMemHandle {
  char reserved[64];
};
struct CUmemAccessDesc;
struct CUmemAllocationProp;
struct CUmemLocation;
struct CUmemPoolProps;
struct CUDA_MEMCPY2D;
struct CUDA_RESOURCE_DESC;
struct CUDA_RESOURCE_VIEW_DESC;
struct CUDA_TEXTURE_DESC;
struct CUDA_EXTERNAL_MEMORY_BUFFER_DESC;
struct CUDA_EXTERNAL_MEMORY_HANDLE_DESC;
struct CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC;
struct CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC;
struct CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS;
struct CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS;
