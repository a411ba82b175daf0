/* A stand-in for libnvidia-ml.so.1: the GPUs are the lines of the file that STANDIN_NVML names, read anew for every question.
 *
 * A line is utilization (percent), memory in all and in use (bytes), power and its limit (milliwatts), energy (millijoules). In place of
 * a number, `-` is a question that the GPU is not made to answer, and `!` one that it fails.
 *
 * The numbers are those of nvml.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_t;

static int initialised;

/* The word at that place of a GPU's line. */
static int ask(void *device, int place, unsigned long long *value) {
    long number = (long)device - 1;
    char line[256], word[64];
    const char *path = getenv("STANDIN_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!initialised || !file) return UNINITIALIZED;
    char *found = fgets(line, sizeof line, file);
    while (found && number--) found = fgets(line, sizeof line, file);
    fclose(file);
    if (!found) return NOT_FOUND;
    for (int used = 0; place >= 0; place--, found += used) {
        if (sscanf(found, "%63s%n", word, &used) != 1) return INVALID_ARGUMENT;
    }
    if (*word == '-') return NOT_SUPPORTED;
    if (*word == '!') return GPU_IS_LOST;
    *value = strtoull(word, NULL, 10);
    return OK;
}

static int ask_unsigned(void *device, int place, unsigned *value) {
    unsigned long long found = 0;
    int outcome = ask(device, place, &found);
    if (outcome == OK) *value = found;
    return outcome;
}

int nvmlInit_v2(void) {
    initialised = 1;
    return getenv("STANDIN_NVML") ? OK : DRIVER_NOT_LOADED;
}

int nvmlShutdown(void) {
    initialised = 0;
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    unsigned long long ignored;
    *count = 0;
    while (ask((void *)(long)(*count + 1), 0, &ignored) != NOT_FOUND) ++*count;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(long)(index + 1);
    return OK;
}

/* As the stand-in for CUDA has it. */
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012lx", (long)device - 1);
    return OK;
}

int nvmlDeviceGetUtilizationRates(void *device, utilization_t *rates) {
    return ask_unsigned(device, 0, &rates->gpu);
}

int nvmlDeviceGetMemoryInfo_v2(void *device, memory_t *memory) {
    if (memory->version != (sizeof *memory | 2u << 24)) return INVALID_ARGUMENT;
    int outcome = ask(device, 1, &memory->total);
    return outcome == OK ? ask(device, 2, &memory->used) : outcome;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *power) { return ask_unsigned(device, 3, power); }

int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *limit) { return ask_unsigned(device, 4, limit); }

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) { return ask(device, 5, energy); }
