/* Event sets: XIDs that the control file tells of after the set was made. */
#include "standin.h"

#include <stdlib.h>
#include <string.h>

enum { XID_CRITICAL = 0x8 };

struct event_set {
    int seen;
    char registered[MAX_GPUS];
};

nvml_return nvmlEventSetCreate(nvml_event_set *out) {
    ENTER();
    *out = calloc(1, sizeof **out);
    (*out)->seen = box.event_count;
    return OK;
}

nvml_return nvmlEventSetFree(nvml_event_set set) {
    static int slot = -1;
    count_call(&slot, __func__);
    free(set);
    return OK;
}

nvml_return nvmlDeviceGetSupportedEventTypes(nvml_device device, u64 *out) {
    ENTER_GPU(device);
    *out = 0x1 | 0x2 | XID_CRITICAL | 0x10 | 0x100;
    return OK;
}

nvml_return nvmlDeviceRegisterEvents(nvml_device device, u64 types, nvml_event_set set) {
    ENTER_GPU(device);
    if (types & ~(u64)(0x1 | 0x2 | XID_CRITICAL | 0x10 | 0x100))
        return NOT_SUPPORTED;
    if (types & XID_CRITICAL)
        set->registered[device->gpu] = 1;
    return OK;
}

nvml_return nvmlEventSetWait_v2(nvml_event_set set, event_data *out, u32 timeout_ms) {
    static int slot = -1;
    nvml_return result = enter(&slot, __func__);
    double until = steady_s() + timeout_ms / 1e3;
    while (!result) {
        control_refresh();
        if (driver_stale())
            return UNINITIALIZED;
        while (set->seen < box.event_count) {
            const xid_event *event = &box.events[set->seen++];
            if (event->gpu >= MAX_GPUS || !set->registered[event->gpu])
                continue;
            *out = (event_data){handle_of((int)event->gpu, -1), XID_CRITICAL, event->code,
                                0xffffffffu, 0xffffffffu};
            return OK;
        }
        double left = until - steady_s();
        if (left <= 0)
            return TIMEOUT;
        control_wait(left);
    }
    return result;
}
