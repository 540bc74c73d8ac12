/* Who is on a GPU. */
#include "standin.h"

static int on_device(nvml_device device, const process_state *process, char kind) {
    if (process->kind != kind)
        return 0;
    if (device->slice < 0)
        return 1;
    const slice_state *slice = &box.gpu[device->gpu].slices[device->slice];
    return process->gpu_instance == slice->gpu_instance &&
           process->compute_instance == slice->compute_instance;
}

static nvml_return list(nvml_device device, u32 *count, process_info *out, char kind) {
    const gpu_state *state = &box.gpu[device->gpu];
    u32 room = *count, found = 0;
    int sliced = figure(device->gpu, F_mig_mode) > 0;
    for (int i = 0; i < state->process_count; i++) {
        const process_state *process = &state->processes[i];
        if (!on_device(device, process, kind))
            continue;
        if (found < room && out)
            out[found] = (process_info){process->pid, process->memory,
                                        sliced ? process->gpu_instance : 0xffffffffu,
                                        sliced ? process->compute_instance : 0xffffffffu};
        found++;
    }
    *count = found;
    return found > (out ? room : 0) ? INSUFFICIENT_SIZE : OK;
}

#define PROCESS_LIST(function, kind)                                                               \
    nvml_return function(nvml_device device, u32 *count, process_info *out) {                      \
        ENTER_GPU(device);                                                                         \
        return list(device, count, out, kind);                                                     \
    }

PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v3, 'c')
PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses_v2, 'c')
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, 'g')
PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, 'g')
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, 'm')
PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, 'm')

nvml_return nvmlDeviceGetProcessUtilization(nvml_device device, process_utilization *out,
                                            u32 *count, u64 since) {
    ENTER_GPU(device);
    const gpu_state *state = &box.gpu[device->gpu];
    u32 room = *count, found = 0;
    (void)since;
    for (int i = 0; i < state->process_count; i++, found++)
        if (out && found < room)
            out[found] = (process_utilization){state->processes[i].pid, now_us(),
                                               (u32)figure(device->gpu, F_utilization), 3, 0, 0};
    *count = found;
    if (!found)
        return NOT_FOUND;
    return found > (out ? room : 0) ? INSUFFICIENT_SIZE : OK;
}
