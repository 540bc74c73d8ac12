/* MIG: the mode, the slices as devices of their own, and their GPU instances. */
#include "standin.h"

#include <stdio.h>
#include <string.h>

/* As `nvidia-smi mig -lgip` lists them for an H100 PCIe; `number` is NVML's profile enumeration. */
static const mig_profile profiles[] = {
    {19, 0, 1, 14, 9984, 7, 0, "1g.10gb"},  {20, 7, 1, 14, 9984, 1, 0, "1g.10gb+me"},
    {15, 9, 1, 14, 20096, 4, 0, "1g.20gb"}, {14, 1, 2, 30, 20096, 3, 0, "2g.20gb"},
    {9, 2, 3, 46, 40448, 2, 0, "3g.40gb"},  {5, 3, 4, 62, 40448, 1, 0, "4g.40gb"},
    {0, 4, 7, 114, 81152, 1, 0, "7g.80gb"},
};

enum { PROFILES = sizeof profiles / sizeof *profiles };

struct instance_handle {
    int gpu;
    int slice;
};

static struct instance_handle instances[MAX_GPUS][MAX_SLICES];

const mig_profile *profile_of(u32 id) {
    for (int i = 0; i < PROFILES; i++)
        if (profiles[i].id == id)
            return &profiles[i];
    return &profiles[0];
}

nvml_return nvmlDeviceGetMigMode(nvml_device device, u32 *current, u32 *pending) {
    ENTER_GPU(device);
    WHOLE_GPU_ONLY(device);
    *current = (u32)figure(device->gpu, F_mig_mode);
    *pending = (u32)figure(device->gpu, F_mig_pending);
    return OK;
}

nvml_return nvmlDeviceGetMaxMigDeviceCount(nvml_device device, u32 *out) {
    ENTER_GPU(device);
    *out = device->slice < 0 ? 7 : 0;
    return OK;
}

nvml_return nvmlDeviceGetMigDeviceHandleByIndex(nvml_device device, u32 index, nvml_device *out) {
    ENTER_GPU(device);
    if (!figure(device->gpu, F_mig_mode) || index >= (u32)box.gpu[device->gpu].slice_count)
        return NOT_FOUND;
    *out = handle_of(device->gpu, (int)index);
    return OK;
}

nvml_return nvmlDeviceIsMigDeviceHandle(nvml_device device, u32 *out) {
    ENTER_GPU(device);
    *out = device->slice >= 0;
    return OK;
}

nvml_return nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device device, nvml_device *out) {
    ENTER_GPU(device);
    *out = handle_of(device->gpu, -1);
    return OK;
}

nvml_return nvmlDeviceGetGpuInstanceId(nvml_device device, u32 *out) {
    ENTER_GPU(device);
    if (device->slice < 0)
        return NOT_SUPPORTED;
    *out = box.gpu[device->gpu].slices[device->slice].gpu_instance;
    return OK;
}

nvml_return nvmlDeviceGetComputeInstanceId(nvml_device device, u32 *out) {
    ENTER_GPU(device);
    if (device->slice < 0)
        return NOT_SUPPORTED;
    *out = box.gpu[device->gpu].slices[device->slice].compute_instance;
    return OK;
}

nvml_return nvmlDeviceGetAttributes_v2(nvml_device device, device_attributes *out) {
    ENTER_GPU(device);
    if (device->slice < 0)
        return NOT_SUPPORTED;
    const mig_profile *profile = profile_of(box.gpu[device->gpu].slices[device->slice].profile);
    memset(out, 0, sizeof *out);
    out->multiprocessors = profile->multiprocessors;
    out->copy_engines = out->decoders = out->jpegs = profile->slices;
    out->gpu_slices = out->compute_slices = profile->slices;
    out->memory_mb = profile->memory_mb;
    return OK;
}

nvml_return nvmlDeviceGetGpuInstanceById(nvml_device device, u32 id, nvml_instance *out) {
    ENTER_GPU(device);
    const gpu_state *state = &box.gpu[device->gpu];
    for (int slice = 0; slice < state->slice_count; slice++)
        if (state->slices[slice].gpu_instance == id) {
            struct instance_handle *handle = &instances[device->gpu][slice];
            *handle = (struct instance_handle){device->gpu, slice};
            *out = handle;
            return OK;
        }
    return NOT_FOUND;
}

nvml_return nvmlGpuInstanceGetInfo(nvml_instance instance, gpu_instance_info *out) {
    ENTER();
    const slice_state *slice = &box.gpu[instance->gpu].slices[instance->slice];
    *out = (gpu_instance_info){handle_of(instance->gpu, -1), slice->gpu_instance, slice->profile,
                               slice->start, slice->size};
    return OK;
}

nvml_return nvmlDeviceGetGpuInstanceProfileInfoV(nvml_device device, u32 number,
                                                 gpu_instance_profile *out) {
    ENTER_GPU(device);
    if (out->version != (sizeof *out | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    for (int i = 0; i < PROFILES; i++) {
        const mig_profile *profile = &profiles[i];
        if (profile->number != number)
            continue;
        u32 version = out->version;
        memset(out, 0, sizeof *out);
        out->version = version;
        out->id = profile->id;
        out->slices = profile->slices;
        out->instances = profile->instances;
        out->multiprocessors = profile->multiprocessors;
        out->memory_mb = profile->memory_mb;
        snprintf(out->name, sizeof out->name, "MIG %s", profile->name);
        return OK;
    }
    return NOT_SUPPORTED;
}
