/* The activity counters: two samples, and the metrics between them. */
#include "standin.h"

#include <stdlib.h>

struct gpm_sample {
    int gpu;
    int slice;
    double time_s;
};

nvml_return nvmlGpmQueryDeviceSupport(nvml_device device, gpm_support *out) {
    ENTER_GPU(device);
    out->supported = (u32)figure(device->gpu, F_gpm_supported);
    return OK;
}

nvml_return nvmlGpmSampleAlloc(nvml_gpm_sample *out) {
    ENTER();
    *out = calloc(1, sizeof **out);
    (*out)->gpu = -1;
    return OK;
}

nvml_return nvmlGpmSampleFree(nvml_gpm_sample sample) {
    static int slot = -1;
    count_call(&slot, __func__);
    free(sample);
    return OK;
}

nvml_return nvmlGpmSampleGet(nvml_device device, nvml_gpm_sample sample) {
    ENTER_GPU(device);
    if (!figure(device->gpu, F_gpm_supported))
        return NOT_SUPPORTED;
    *sample = (struct gpm_sample){device->gpu, -1, now_s()};
    return OK;
}

nvml_return nvmlGpmMigSampleGet(nvml_device device, u32 instance, nvml_gpm_sample sample) {
    ENTER_GPU(device);
    const gpu_state *state = &box.gpu[device->gpu];
    for (int slice = 0; slice < state->slice_count; slice++)
        if (state->slices[slice].gpu_instance == instance) {
            *sample = (struct gpm_sample){device->gpu, slice, now_s()};
            return OK;
        }
    return NOT_FOUND;
}

static int metric_value(int gpu, u32 metric, double *out) {
    const double mib = 1048576;
    switch (metric) {
    case 1: *out = figure(gpu, F_graphics_active); return OK;
    case 2: *out = figure(gpu, F_sm_active); return OK;
    case 3: *out = figure(gpu, F_sm_occupancy); return OK;
    case 5: *out = figure(gpu, F_tensor_active); return OK;
    case 10: *out = figure(gpu, F_dram_active); return OK;
    case 20: *out = figure(gpu, F_pcie_tx) / mib; return OK;
    case 21: *out = figure(gpu, F_pcie_rx) / mib; return OK;
    case 60: *out = figure(gpu, F_nvlink_rx) / mib; return OK;
    case 61: *out = figure(gpu, F_nvlink_tx) / mib; return OK;
    }
    return NOT_SUPPORTED;
}

nvml_return nvmlGpmMetricsGet(gpm_metrics *query) {
    ENTER();
    nvml_gpm_sample first = query->first, second = query->second;
    if (query->version != 1)
        return ARGUMENT_VERSION_MISMATCH;
    if (!first || !second || first->gpu < 0 || first->gpu != second->gpu ||
        first->slice != second->slice)
        return INVALID_ARGUMENT;
    int gpu = second->gpu;
    for (u32 i = 0; i < query->count; i++) {
        gpm_metric *metric = &query->metrics[i];
        /* Hopper counts over 100 ms: closer samples have nothing between them. */
        if (second->time_s - first->time_s < 0.1)
            metric->result = NO_DATA;
        else
            metric->result = (u32)metric_value(gpu, metric->metric, &metric->value);
        if (second->slice >= 0 && metric->metric >= 20)
            metric->result = NOT_SUPPORTED;
        else if (second->slice >= 0)
            metric->value *= 1 - 0.05 * second->slice;
    }
    return OK;
}
