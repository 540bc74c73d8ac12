/* nvmlDeviceGetFieldValues, and the NVLinks, most of which are read through it. */
#include "standin.h"

#include <string.h>

enum { ALL_LINKS = 0xffffffffu };

static int answer_word(field_value *out, double value) {
    /* A real driver leaves the upper half of the union as it was. */
    out->value.wide = 0xdeadbeef00000000ull;
    out->type = VALUE_U32;
    out->value.word = (u32)value;
    return OK;
}

static int answer_wide(field_value *out, double value) {
    out->type = VALUE_U64;
    out->value.wide = (u64)value;
    return OK;
}

static int answer_signed(field_value *out, int value) {
    out->value.wide = 0xdeadbeef00000000ull;
    out->type = VALUE_I32;
    out->value.sword = value;
    return OK;
}

static int link_field(int gpu, field_value *out) {
    const gpu_state *state = &box.gpu[gpu];
    double share = 1;
    if (out->field == 138 || out->field == 139) {
        if (box.links == 0)
            return NOT_SUPPORTED;
        if (out->scope != ALL_LINKS)
            share = 1.0 / box.links;
        enum figure rate = out->field == 138 ? F_nvlink_tx : F_nvlink_rx;
        return answer_wide(out, share * figure(gpu, rate) / 1024 * now_s());
    }
    if (out->scope >= (u32)box.links)
        return INVALID_ARGUMENT;
    switch (out->field) {
    case 161: return answer_wide(out, (double)state->link_errors[out->scope]);
    case 162: return answer_wide(out, 0);
    case 163: return answer_wide(out, 0);
    case 164: return answer_word(out, 26562);
    case 165: return answer_word(out, !state->link_down[out->scope] && peer_of(gpu) >= 0);
    }
    return NOT_SUPPORTED;
}

static int answer(int gpu, field_value *out) {
    const gpu_state *state = &box.gpu[gpu];
    for (int i = 0; i < state->failure_count && i < MAX_FAILURES; i++)
        if (!state->failures[i].function[0] && state->failures[i].field == out->field)
            return state->failures[i].result;
    switch (out->field) {
    case 1:
    case 2: return answer_word(out, 1);
    case 3: return answer_wide(out, figure(gpu, F_ecc_corrected));
    case 4: return answer_wide(out, figure(gpu, F_ecc_uncorrected));
    case 74: return answer_wide(out, figure(gpu, F_power_cap_ns));
    case 75: return answer_wide(out, figure(gpu, F_thermal_ns));
    case 76: return answer_wide(out, figure(gpu, F_sync_boost_ns));
    case 77: return answer_wide(out, figure(gpu, F_board_limit_ns));
    case 79: return answer_wide(out, figure(gpu, F_reliability_ns));
    case 82: return answer_word(out, figure(gpu, F_memory_temperature));
    case 83: return answer_wide(out, figure(gpu, F_energy_mj));
    case 91: return answer_word(out, box.links);
    case 94: return answer_word(out, figure(gpu, F_pcie_replays));
    case 142: return answer_word(out, figure(gpu, F_remapped_correctable));
    case 143: return answer_word(out, figure(gpu, F_remapped_uncorrectable));
    case 144: return answer_word(out, figure(gpu, F_remap_pending));
    case 145: return answer_word(out, figure(gpu, F_remap_failed));
    case 138:
    case 139:
    case 161:
    case 162:
    case 163:
    case 164:
    case 165: return link_field(gpu, out);
    case 185: return answer_word(out, figure(gpu, F_power_mw));
    case 186: return answer_word(out, figure(gpu, F_power_instant_mw));
    case 187: return answer_word(out, figure(gpu, F_power_limit_min_mw));
    case 188: return answer_word(out, figure(gpu, F_power_limit_max_mw));
    case 189: return answer_word(out, figure(gpu, F_power_limit_default_mw));
    case 190:
    case 192: return answer_word(out, figure(gpu, F_power_limit_mw));
    case 193: return answer_signed(out, -8);
    case 194: return answer_signed(out, -2);
    case 195:
    case 196: return answer_signed(out, 0);
    case 197: return answer_wide(out, figure(gpu, F_pcie_tx) * now_s());
    case 198: return answer_wide(out, figure(gpu, F_pcie_rx) * now_s());
    case 230: return answer_word(out, figure(gpu, F_recovery_action));
    case 269: return answer_wide(out, figure(gpu, F_sw_thermal_ns));
    case 270: return answer_wide(out, figure(gpu, F_hw_thermal_ns));
    case 271: return answer_wide(out, figure(gpu, F_power_brake_ns));
    }
    return NOT_SUPPORTED;
}

nvml_return nvmlDeviceGetFieldValues(nvml_device device, int count, field_value *values) {
    ENTER_GPU(device);
    WHOLE_GPU_ONLY(device);
    for (int i = 0; i < count; i++) {
        values[i].timestamp_us = (long long)now_us();
        values[i].latency_us = 1;
        values[i].result = (u32)answer(device->gpu, &values[i]);
    }
    return OK;
}

nvml_return nvmlDeviceGetNvLinkState(nvml_device device, u32 link, u32 *out) {
    ENTER_GPU(device);
    if (link >= (u32)box.links)
        return INVALID_ARGUMENT;
    *out = !box.gpu[device->gpu].link_down[link] && peer_of(device->gpu) >= 0;
    return OK;
}

nvml_return nvmlDeviceGetNvLinkRemotePciInfo_v2(nvml_device device, u32 link, pci_info *out) {
    ENTER_GPU(device);
    int peer = peer_of(device->gpu);
    if (link >= (u32)box.links || peer < 0)
        return NOT_SUPPORTED;
    memset(out, 0, sizeof *out);
    bus_id(peer, out->bus_id);
    return OK;
}

nvml_return nvmlDeviceGetP2PStatus(nvml_device one, nvml_device two, u32 index, u32 *out) {
    ENTER_GPU(one);
    int linked = index == 2 ? box.links > 0 && peer_of(one->gpu) == two->gpu : 1;
    *out = linked ? 0 : 5;
    return OK;
}

/* Two sockets; on each, GPUs share a PCIe switch in threes. */
nvml_return nvmlDeviceGetTopologyCommonAncestor(nvml_device one, nvml_device two, u32 *out) {
    ENTER_GPU(one);
    if (figure(one->gpu, F_numa_node) != figure(two->gpu, F_numa_node))
        *out = 50;
    else
        *out = one->gpu / 3 == two->gpu / 3 ? 20 : 40;
    return OK;
}
