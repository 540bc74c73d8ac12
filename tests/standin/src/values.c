/* What each GPU reads when a test has not said otherwise: an H100 PCIe, every figure of every GPU
 * different from its neighbours', so that a mix-up is seen. */
#include "standin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[FIGURES] = {
#define FIGURE(name) #name,
#include "figures.h"
#undef FIGURE
};

int figure_named(const char *name) {
    for (int which = 0; which < FIGURES; which++)
        if (!strcmp(names[which], name))
            return which;
    return -1;
}

/* Percent of full work: a base of its own and a slow wave, still when the clock stands. */
static double load_of(int gpu) {
    static const double base[10] = {82, 71, 90, 12, 58, 0, 44, 97, 31, 6};
    double level = gpu < 10 ? base[gpu] : (gpu * 37) % 97;
    if (level == 0)
        return 0;
    level += 8 * sin(now_s() / 7 + gpu * 1.7);
    return level < 1 ? 1 : level > 100 ? 100 : level;
}

#define GIB 1073741824.0
#define MIB 1048576.0

static double whole(double value) { return floor(value + 0.5); }

static double by_default(int gpu, enum figure which) {
    if (which == F_load)
        return load_of(gpu);
    double load = figure(gpu, F_load);
    switch (which) {
    case F_power_mw: return whole(48000 + 2650 * load + 731 * gpu);
    case F_power_instant_mw: return figure(gpu, F_power_mw) + 1900 + 37 * gpu;
    case F_power_limit_mw: return 350000 - 1000 * gpu;
    case F_power_limit_default_mw: return 350000;
    case F_power_limit_min_mw: return 200000;
    case F_power_limit_max_mw: return 350000;
    case F_energy_mj: return whole(5e9 + 1e8 * gpu + (150000 + 9000.0 * gpu) * now_s());
    case F_temperature: return whole(31 + 0.38 * load + 0.7 * gpu);
    case F_memory_temperature: return whole(42 + 0.36 * load + 0.9 * gpu);
    case F_margin: return 88 - figure(gpu, F_temperature);
    case F_temperature_slowdown: return 89;
    case F_temperature_shutdown: return 95;
    case F_temperature_memory_max: return 95;
    case F_temperature_gpu_max: return 87;
    case F_utilization: return whole(load);
    case F_memory_utilization: return whole(0.6 * load);
    case F_memory_total: return 81559 * MIB;
    case F_memory_reserved: return 479 * MIB;
    case F_memory_used: return whole((0.6 + 0.71 * load) * GIB) + gpu * MIB;
    case F_sm_clock: return load < 1 ? 345 : 1755 - 15 * floor(load / 20) - gpu;
    case F_sm_clock_max: return 1755;
    case F_memory_clock: return 1593 - gpu;
    case F_memory_clock_max: return 1593;
    case F_video_clock: return 1515 - gpu;
    case F_throttle: return load < 1 ? 0x1 : load > 94 ? 0x4 : 0;
    case F_power_cap_ns: return 4e9 + 1e9 * gpu;
    case F_sync_boost_ns: return 0;
    case F_sw_thermal_ns: return 2e8 * gpu;
    case F_hw_thermal_ns: return 0;
    case F_power_brake_ns: return 0;
    case F_board_limit_ns: return 0;
    case F_reliability_ns: return 0;
    case F_thermal_ns: return figure(gpu, F_sw_thermal_ns) + figure(gpu, F_hw_thermal_ns);
    case F_sm_active: return 0.93 * load + 0.011 * gpu;
    case F_sm_occupancy: return 0.41 * load + 0.013 * gpu;
    case F_tensor_active: return 0.52 * load + 0.017 * gpu;
    case F_dram_active: return 0.63 * load + 0.019 * gpu;
    case F_graphics_active: return 0.97 * load;
    case F_pcie_rx: return (40 + 11 * gpu + 21 * load) * MIB;
    case F_pcie_tx: return (20 + 7 * gpu + 9 * load) * MIB;
    case F_nvlink_rx: return (300 + 13 * gpu + 190 * load) * MIB;
    case F_nvlink_tx: return (310 + 17 * gpu + 180 * load) * MIB;
    case F_pcie_generation: return 5;
    case F_pcie_width: return 16;
    case F_pcie_generation_max: return 5;
    case F_pcie_width_max: return 16;
    case F_pcie_replays: return 3 * gpu;
    case F_ecc_corrected: return 2 * gpu;
    case F_ecc_uncorrected: return 0;
    case F_remapped_correctable: return gpu % 3;
    case F_remapped_uncorrectable: return 0;
    case F_remap_pending: return 0;
    case F_remap_failed: return 0;
    case F_recovery_action: return 0;
    case F_mig_mode: return box.gpu[gpu].slice_count > 0;
    case F_mig_pending: return figure(gpu, F_mig_mode);
    case F_gpm_supported: return 1;
    case F_numa_node: return gpu >= (box.gpus + 1) / 2;
    case F_load:
    case FIGURES: break;
    }
    return 0;
}

double figure(int gpu, enum figure which) {
    const gpu_state *state = &box.gpu[gpu];
    if (state->set[which])
        return state->figures[which];
    return by_default(gpu, which);
}

/* Share of the GPU's memory that a slice has, 0 to 1. */
double slice_share(int gpu, int slice) {
    const mig_profile *profile = profile_of(box.gpu[gpu].slices[slice].profile);
    return profile ? profile->memory_mb / 81152.0 : 0;
}

/* The cards are bridged in pairs: 0 and 1, 2 and 3, … */
int peer_of(int gpu) {
    int peer = gpu ^ 1;
    return peer < box.gpus ? peer : -1;
}

const char *gpu_uuid(int gpu, char *out) {
    sprintf(out, "GPU-%08x-c0de-4a00-8000-%012x", 0x51a0 + gpu, 0x100 + gpu);
    return out;
}

const char *slice_uuid(int gpu, int slice, char *out) {
    const slice_state *state = &box.gpu[gpu].slices[slice];
    sprintf(out, "MIG-%08x-c0de-5b00-8000-%06x%06x", 0x51a0 + gpu, state->gpu_instance,
            state->compute_instance);
    return out;
}

const char *bus_id(int gpu, char *out) {
    sprintf(out, "00000000:%02X:00.0", 0x17 + 0x0c * gpu);
    return out;
}
