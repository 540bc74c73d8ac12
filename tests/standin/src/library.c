/* Loading, unloading, handles, and what every call does first. */
#include "standin.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;
/* A handle outlives no driver: after the driver came back, handles of before are refused. */
static int epoch;
/* Set once the driver has been away: only an nvmlInit that is the first user's mends it. */
static int stale;
static struct gpu_handle handles[EPOCHS][MAX_GPUS][1 + MAX_SLICES];

static int driver_away(void) {
    if (!box.driver_result)
        return 0;
    stale = 1;
    return box.driver_result;
}

int driver_stale(void) { return driver_away() || stale; }

nvml_return nvmlInitWithFlags(u32 flags) {
    static int slot = -1;
    (void)flags;
    control_open();
    control_refresh();
    count_call(&slot, __func__);
    spend_time();
    int away = driver_away();
    if (away)
        return away == UNINITIALIZED ? DRIVER_NOT_LOADED : away;
    pthread_mutex_lock(&lock);
    if (!users++ && stale) {
        epoch++;
        stale = 0;
    }
    pthread_mutex_unlock(&lock);
    return OK;
}

nvml_return nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
nvml_return nvmlInit(void) { return nvmlInitWithFlags(0); }

nvml_return nvmlShutdown(void) {
    static int slot = -1;
    control_refresh();
    count_call(&slot, __func__);
    pthread_mutex_lock(&lock);
    int result = users > 0 ? OK : UNINITIALIZED;
    if (users > 0)
        users--;
    pthread_mutex_unlock(&lock);
    return result;
}

nvml_return enter(int *slot, const char *function) {
    control_refresh();
    count_call(slot, function);
    spend_time();
    int away = driver_away();
    if (away)
        return away;
    return users > 0 && !stale ? OK : UNINITIALIZED;
}

nvml_return enter_gpu(int *slot, const char *function, nvml_device device) {
    nvml_return result = enter(slot, function);
    if (result)
        return result;
    if (!device || device->epoch != epoch || device->gpu >= box.gpus)
        return INVALID_ARGUMENT;
    const gpu_state *state = &box.gpu[device->gpu];
    while (state->stuck) {
        nap_us(1000);
        control_refresh();
    }
    if (box.driver_result)
        return driver_away();
    if (state->lost || state->vanished)
        return GPU_IS_LOST;
    for (int i = 0; i < state->failure_count && i < MAX_FAILURES; i++)
        if (!strcmp(state->failures[i].function, function))
            return state->failures[i].result;
    return OK;
}

nvml_device handle_of(int gpu, int slice) {
    struct gpu_handle *handle = &handles[epoch % EPOCHS][gpu][slice + 1];
    *handle = (struct gpu_handle){gpu, slice, epoch};
    return handle;
}

void put_text(char *out, u32 size, const char *text) { snprintf(out, size, "%s", text); }

const char *nvmlErrorString(nvml_return result) {
    switch (result) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case TIMEOUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

nvml_return nvmlSystemGetDriverVersion(char *out, u32 size) {
    ENTER();
    put_text(out, size, box.driver_version);
    return OK;
}

nvml_return nvmlSystemGetNVMLVersion(char *out, u32 size) {
    ENTER();
    char version[64];
    snprintf(version, sizeof version, "13.%s", box.driver_version);
    put_text(out, size, version);
    return OK;
}

nvml_return nvmlSystemGetCudaDriverVersion_v2(int *version) {
    ENTER();
    *version = 13000;
    return OK;
}

nvml_return nvmlSystemGetCudaDriverVersion(int *version) {
    return nvmlSystemGetCudaDriverVersion_v2(version);
}

nvml_return nvmlSystemGetProcessName(u32 pid, char *out, u32 size) {
    ENTER();
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return NOT_FOUND;
    if (!fgets(out, (int)size, file))
        out[0] = 0;
    fclose(file);
    out[strcspn(out, "\n")] = 0;
    return OK;
}

/* The GPUs that the driver lists: a vanished one is not among them. */
static int listed(int place) {
    for (int gpu = 0; gpu < box.gpus; gpu++)
        if (!box.gpu[gpu].vanished && place-- == 0)
            return gpu;
    return -1;
}

nvml_return nvmlDeviceGetCount_v2(u32 *count) {
    ENTER();
    *count = 0;
    while (listed((int)*count) >= 0)
        ++*count;
    return OK;
}

nvml_return nvmlDeviceGetHandleByIndex_v2(u32 index, nvml_device *out) {
    ENTER();
    int gpu = listed((int)index);
    if (gpu < 0)
        return INVALID_ARGUMENT;
    if (box.gpu[gpu].lost)
        return GPU_IS_LOST;
    *out = handle_of(gpu, -1);
    return OK;
}

nvml_return nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *out) {
    ENTER();
    char name[96];
    for (int gpu = 0; gpu < box.gpus; gpu++) {
        if (box.gpu[gpu].vanished)
            continue;
        if (!strcmp(uuid, gpu_uuid(gpu, name))) {
            *out = handle_of(gpu, -1);
            return box.gpu[gpu].lost ? GPU_IS_LOST : OK;
        }
        for (int slice = 0; slice < box.gpu[gpu].slice_count; slice++)
            if (!strcmp(uuid, slice_uuid(gpu, slice, name))) {
                *out = handle_of(gpu, slice);
                return OK;
            }
    }
    return NOT_FOUND;
}

nvml_return nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvml_device *out) {
    ENTER();
    char name[32];
    for (int gpu = 0; gpu < box.gpus; gpu++)
        if (!box.gpu[gpu].vanished && !strcasecmp(id, bus_id(gpu, name))) {
            *out = handle_of(gpu, -1);
            return box.gpu[gpu].lost ? GPU_IS_LOST : OK;
        }
    return NOT_FOUND;
}
