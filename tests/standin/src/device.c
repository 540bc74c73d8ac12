/* One GPU: identity, memory, clocks, power, temperature, PCIe, errors. */
#include "standin.h"

#include <stdio.h>
#include <string.h>

nvml_return nvmlDeviceGetName(nvml_device device, char *out, u32 size) {
    ENTER_GPU(device);
    char name[96] = "NVIDIA H100 PCIe";
    if (device->slice >= 0) {
        const slice_state *slice = &box.gpu[device->gpu].slices[device->slice];
        snprintf(name, sizeof name, "NVIDIA H100 PCIe MIG %s", profile_of(slice->profile)->name);
    }
    put_text(out, size, name);
    return OK;
}

nvml_return nvmlDeviceGetUUID(nvml_device device, char *out, u32 size) {
    ENTER_GPU(device);
    char name[96];
    put_text(out, size,
             device->slice < 0 ? gpu_uuid(device->gpu, name)
                               : slice_uuid(device->gpu, device->slice, name));
    return OK;
}

nvml_return nvmlDeviceGetSerial(nvml_device device, char *out, u32 size) {
    ENTER_GPU(device);
    char serial[32];
    snprintf(serial, sizeof serial, "165042300%04d", 1000 + device->gpu);
    put_text(out, size, serial);
    return OK;
}

nvml_return nvmlDeviceGetVbiosVersion(nvml_device device, char *out, u32 size) {
    ENTER_GPU(device);
    put_text(out, size, "96.00.A5.00.0A");
    return OK;
}

nvml_return nvmlDeviceGetIndex(nvml_device device, u32 *out) {
    ENTER_GPU(device);
    u32 index = 0;
    for (int gpu = 0; gpu < device->gpu; gpu++)
        index += !box.gpu[gpu].vanished;
    *out = device->slice < 0 ? index : (u32)device->slice;
    return OK;
}

/* Everything that fills one or two words. */
#define WORD(function, expression)                                                                 \
    nvml_return function(nvml_device device, u32 *out) {                                           \
        ENTER_GPU(device);                                                                         \
        WHOLE_GPU_ONLY(device);                                                                    \
        int gpu = device->gpu;                                                                     \
        (void)gpu;                                                                                 \
        *out = (u32)(expression);                                                                  \
        return OK;                                                                                 \
    }

#define TWO_WORDS(function, one, two)                                                              \
    nvml_return function(nvml_device device, u32 *first, u32 *second) {                            \
        ENTER_GPU(device);                                                                         \
        WHOLE_GPU_ONLY(device);                                                                    \
        int gpu = device->gpu;                                                                     \
        (void)gpu;                                                                                 \
        *first = (u32)(one);                                                                       \
        *second = (u32)(two);                                                                      \
        return OK;                                                                                 \
    }

#define REFUSED(function)                                                                          \
    nvml_return function(nvml_device device, u32 *out) {                                           \
        ENTER_GPU(device);                                                                         \
        (void)out;                                                                                 \
        return NOT_SUPPORTED;                                                                      \
    }

WORD(nvmlDeviceGetMinorNumber, gpu)
WORD(nvmlDeviceGetArchitecture, 9)
WORD(nvmlDeviceGetNumaNodeId, figure(gpu, F_numa_node))
WORD(nvmlDeviceGetPersistenceMode, 1)
WORD(nvmlDeviceGetComputeMode, 0)
WORD(nvmlDeviceGetDisplayMode, 0)
WORD(nvmlDeviceGetDisplayActive, 0)
WORD(nvmlDeviceGetPerformanceState, 0)
WORD(nvmlDeviceGetPowerUsage, figure(gpu, F_power_mw))
WORD(nvmlDeviceGetPowerManagementLimit, figure(gpu, F_power_limit_mw))
WORD(nvmlDeviceGetPowerManagementDefaultLimit, figure(gpu, F_power_limit_default_mw))
WORD(nvmlDeviceGetEnforcedPowerLimit, figure(gpu, F_power_limit_mw))
WORD(nvmlDeviceGetCurrPcieLinkGeneration, figure(gpu, F_pcie_generation))
WORD(nvmlDeviceGetCurrPcieLinkWidth, figure(gpu, F_pcie_width))
WORD(nvmlDeviceGetMaxPcieLinkGeneration, figure(gpu, F_pcie_generation_max))
WORD(nvmlDeviceGetMaxPcieLinkWidth, figure(gpu, F_pcie_width_max))
WORD(nvmlDeviceGetPcieReplayCounter, figure(gpu, F_pcie_replays))
TWO_WORDS(nvmlDeviceGetCudaComputeCapability, 9, 0)
TWO_WORDS(nvmlDeviceGetPowerManagementLimitConstraints, figure(gpu, F_power_limit_min_mw),
          figure(gpu, F_power_limit_max_mw))
TWO_WORDS(nvmlDeviceGetEccMode, 1, 1)
TWO_WORDS(nvmlDeviceGetEncoderUtilization, 0, 167000)
TWO_WORDS(nvmlDeviceGetDecoderUtilization, 0, 167000)
/* A passive card has no fan, and Linux no driver model. */
REFUSED(nvmlDeviceGetFanSpeed)
REFUSED(nvmlDeviceGetNumFans)
REFUSED(nvmlDeviceGetDriverModel_v2)

nvml_return nvmlDeviceGetPciInfo_v3(nvml_device device, pci_info *out) {
    ENTER_GPU(device);
    memset(out, 0, sizeof *out);
    bus_id(device->gpu, out->bus_id);
    snprintf(out->bus_id_legacy, sizeof out->bus_id_legacy, "%.12s", out->bus_id + 4);
    sscanf(out->bus_id, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    out->device_id = 0x233110DE;
    out->subsystem_id = 0x162610DE;
    return OK;
}

nvml_return nvmlDeviceGetCpuAffinity(nvml_device device, u32 size, unsigned long *out) {
    ENTER_GPU(device);
    memset(out, 0, size * sizeof *out);
    out[0] = figure(device->gpu, F_numa_node) > 0 ? 0xffff0000ul : 0xfffful;
    return OK;
}

static void memory_of(nvml_device device, memory_v2 *out) {
    int gpu = device->gpu;
    double share = device->slice < 0 ? 1 : slice_share(gpu, device->slice);
    out->total = (u64)figure(gpu, F_memory_total);
    out->reserved = (u64)figure(gpu, F_memory_reserved);
    out->used = (u64)figure(gpu, F_memory_used);
    if (device->slice >= 0) {
        const slice_state *slice = &box.gpu[gpu].slices[device->slice];
        out->total = (u64)profile_of(slice->profile)->memory_mb << 20;
        out->reserved = 0;
        out->used = (u64)((double)out->used * share) + ((u64)slice->gpu_instance << 20);
    }
    out->free = out->total - out->reserved - out->used;
}

nvml_return nvmlDeviceGetMemoryInfo_v2(nvml_device device, memory_v2 *out) {
    ENTER_GPU(device);
    if (out->version != (sizeof *out | 2u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    memory_of(device, out);
    return OK;
}

nvml_return nvmlDeviceGetMemoryInfo(nvml_device device, memory_v1 *out) {
    ENTER_GPU(device);
    memory_v2 memory;
    memory_of(device, &memory);
    *out = (memory_v1){memory.total, memory.free, memory.used + memory.reserved};
    return OK;
}

nvml_return nvmlDeviceGetBAR1MemoryInfo(nvml_device device, memory_v1 *out) {
    ENTER_GPU(device);
    *out = (memory_v1){131072ull << 20, 131070ull << 20, 2ull << 20};
    return OK;
}

nvml_return nvmlDeviceGetUtilizationRates(nvml_device device, utilization *out) {
    ENTER_GPU(device);
    int gpu = device->gpu;
    /* With MIG on, a real GPU has no utilization of its own. */
    if (device->slice >= 0 || figure(gpu, F_mig_mode))
        return NOT_SUPPORTED;
    *out = (utilization){(u32)figure(gpu, F_utilization), (u32)figure(gpu, F_memory_utilization)};
    return OK;
}

nvml_return nvmlDeviceGetTemperature(nvml_device device, u32 sensor, u32 *out) {
    ENTER_GPU(device);
    if (sensor != 0)
        return INVALID_ARGUMENT;
    *out = (u32)figure(device->gpu, F_temperature);
    return OK;
}

nvml_return nvmlDeviceGetTemperatureV(nvml_device device, temperature_v1 *out) {
    ENTER_GPU(device);
    if (out->version != (sizeof *out | 1u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    if (out->sensor != 0)
        return INVALID_ARGUMENT;
    out->temperature = (int)figure(device->gpu, F_temperature);
    return OK;
}

nvml_return nvmlDeviceGetMarginTemperature(nvml_device device, margin_temperature *out) {
    ENTER_GPU(device);
    if (out->version != (sizeof *out | 1u << 24))
        return ARGUMENT_VERSION_MISMATCH;
    out->margin = (int)figure(device->gpu, F_margin);
    return OK;
}

nvml_return nvmlDeviceGetTemperatureThreshold(nvml_device device, u32 which, u32 *out) {
    ENTER_GPU(device);
    static const enum figure figures[] = {F_temperature_shutdown, F_temperature_slowdown,
                                          F_temperature_memory_max, F_temperature_gpu_max};
    if (which >= sizeof figures / sizeof *figures)
        return NOT_SUPPORTED;
    *out = (u32)figure(device->gpu, figures[which]);
    return OK;
}

nvml_return nvmlDeviceGetTotalEnergyConsumption(nvml_device device, u64 *out) {
    ENTER_GPU(device);
    *out = (u64)figure(device->gpu, F_energy_mj);
    return OK;
}

nvml_return nvmlDeviceGetClockInfo(nvml_device device, u32 clock, u32 *out) {
    ENTER_GPU(device);
    static const enum figure figures[] = {F_sm_clock, F_sm_clock, F_memory_clock, F_video_clock};
    if (clock >= sizeof figures / sizeof *figures)
        return INVALID_ARGUMENT;
    *out = (u32)figure(device->gpu, figures[clock]);
    return OK;
}

nvml_return nvmlDeviceGetMaxClockInfo(nvml_device device, u32 clock, u32 *out) {
    ENTER_GPU(device);
    static const enum figure figures[] = {F_sm_clock_max, F_sm_clock_max, F_memory_clock_max,
                                          F_video_clock};
    if (clock >= sizeof figures / sizeof *figures)
        return INVALID_ARGUMENT;
    *out = (u32)figure(device->gpu, figures[clock]);
    return OK;
}

nvml_return nvmlDeviceGetCurrentClocksEventReasons(nvml_device device, u64 *out) {
    ENTER_GPU(device);
    *out = (u64)figure(device->gpu, F_throttle);
    return OK;
}

nvml_return nvmlDeviceGetCurrentClocksThrottleReasons(nvml_device device, u64 *out) {
    ENTER_GPU(device);
    *out = (u64)figure(device->gpu, F_throttle);
    return OK;
}

nvml_return nvmlDeviceGetTotalEccErrors(nvml_device device, u32 type, u32 counter, u64 *out) {
    ENTER_GPU(device);
    (void)counter;
    *out = (u64)figure(device->gpu, type ? F_ecc_uncorrected : F_ecc_corrected);
    return OK;
}

nvml_return nvmlDeviceGetRemappedRows(nvml_device device, u32 *correctable, u32 *uncorrectable,
                                      u32 *pending, u32 *failed) {
    ENTER_GPU(device);
    int gpu = device->gpu;
    *correctable = (u32)figure(gpu, F_remapped_correctable);
    *uncorrectable = (u32)figure(gpu, F_remapped_uncorrectable);
    *pending = (u32)figure(gpu, F_remap_pending);
    *failed = (u32)figure(gpu, F_remap_failed);
    return OK;
}

/* The real one watches the bus for 20 ms before it answers, and so does this. */
nvml_return nvmlDeviceGetPcieThroughput(nvml_device device, u32 counter, u32 *out) {
    ENTER_GPU(device);
    nap_us(20000);
    *out = (u32)(figure(device->gpu, counter ? F_pcie_rx : F_pcie_tx) / 1024);
    return OK;
}
