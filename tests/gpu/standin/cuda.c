/* A stand-in for libcuda.so.1: as many GPUs as STANDIN_GPUS says, whose memory is POSIX shared memory.
 *
 * An IPC handle is the segment's name and the number of the GPU whose memory it is, so a test makes both without a GPU. What a real driver
 * insists on is insisted on here: that it was initialised, that a context is current, that addresses are inside an allocation. A copy
 * happens when its stream is synchronised and not before, so whoever forgets to wait reads nothing. Closed memory is unmapped.
 *
 * The numbers are those of cuda.h. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
       PEER_ACCESS_UNSUPPORTED = 217, INVALID_HANDLE = 400, ILLEGAL_ADDRESS = 700 };

#define GPUS 8
#define MAPPINGS 64
#define COPIES 64

typedef struct { char name[60]; int32_t device; } handle_t;
typedef struct { int device, retained; } context_t;
typedef struct { char *start; size_t size; int users; char name[60]; } mapping_t;
typedef struct { void *to; const void *from; size_t size; } copy_t;
typedef struct { context_t *context; copy_t copies[COPIES]; int count; } stream_t;
typedef struct { unsigned char bytes[16]; } uuid_type;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialised;
static context_t contexts[GPUS];
static mapping_t mappings[MAPPINGS];
static __thread context_t *stack[8];
static __thread int depth;

static int gpus(void) {
    const char *text = getenv("STANDIN_GPUS");
    return text ? atoi(text) : 0;
}

static context_t *current(void) { return depth ? stack[depth - 1] : NULL; }

int cuInit(unsigned flags) {
    if (flags) return INVALID_VALUE;
    initialised = 1;
    return gpus() ? OK : NO_DEVICE;
}

int cuGetErrorName(int error, const char **name) {
    switch (error) {
    case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case NOT_INITIALIZED: *name = "CUDA_ERROR_NOT_INITIALIZED"; break;
    case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case INVALID_DEVICE: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case INVALID_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case PEER_ACCESS_UNSUPPORTED: *name = "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED"; break;
    case INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    default: *name = NULL; return INVALID_VALUE;
    }
    return OK;
}

int cuDeviceGetCount(int *count) {
    *count = gpus();
    return initialised ? OK : NOT_INITIALIZED;
}

int cuDeviceGet(int *device, int number) {
    if (!initialised) return NOT_INITIALIZED;
    *device = number;
    return number >= 0 && number < gpus() ? OK : INVALID_DEVICE;
}

/* GPU-00000000-0000-0000-0000-00000000000N */
int cuDeviceGetUuid(uuid_type *uuid, int device) {
    memset(uuid, 0, sizeof *uuid);
    uuid->bytes[15] = device;
    return initialised ? OK : NOT_INITIALIZED;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    if (!initialised || device < 0 || device >= gpus()) return INVALID_DEVICE;
    pthread_mutex_lock(&lock);
    contexts[device].device = device;
    contexts[device].retained++;
    pthread_mutex_unlock(&lock);
    *context = &contexts[device];
    return OK;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    pthread_mutex_lock(&lock);
    int outcome = contexts[device].retained-- > 0 ? OK : INVALID_CONTEXT;
    pthread_mutex_unlock(&lock);
    return outcome;
}

int cuCtxPushCurrent_v2(void *context) {
    if (!context || !((context_t *)context)->retained || depth == 8) return INVALID_CONTEXT;
    stack[depth++] = context;
    return OK;
}

int cuCtxPopCurrent_v2(void **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return OK;
}

int cuStreamCreate(void **stream, unsigned flags) {
    if (!current()) return INVALID_CONTEXT;
    if (flags > 1) return INVALID_VALUE;
    stream_t *made = calloc(1, sizeof *made);
    made->context = current();
    *stream = made;
    return OK;
}

int cuStreamDestroy_v2(void *stream) {
    if (!current() || ((stream_t *)stream)->context != current()) return INVALID_CONTEXT;
    free(stream);
    return OK;
}

int cuStreamSynchronize(void *stream) {
    stream_t *known = stream;
    if (known->context != current()) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < known->count; i++) memcpy(known->copies[i].to, known->copies[i].from, known->copies[i].size);
    known->count = 0;
    pthread_mutex_unlock(&lock);
    return OK;
}

int cuIpcOpenMemHandle_v2(uint64_t *address, handle_t handle, unsigned flags) {
    if (!current()) return INVALID_CONTEXT;
    if (flags != 1) return INVALID_VALUE;
    if (handle.name[0] != '/') return INVALID_VALUE;
    if (handle.device != current()->device) return PEER_ACCESS_UNSUPPORTED;
    pthread_mutex_lock(&lock);
    mapping_t *place = NULL;
    for (int i = 0; i < MAPPINGS; i++) {
        if (mappings[i].users && !strncmp(mappings[i].name, handle.name, sizeof handle.name)) {
            place = &mappings[i];
            break;
        }
        if (!mappings[i].users && !place) place = &mappings[i];
    }
    int outcome = OK;
    if (!place->users) {
        struct stat status;
        int file = shm_open(handle.name, O_RDWR, 0);
        if (file < 0 || fstat(file, &status) < 0) {
            outcome = INVALID_HANDLE;
        } else {
            memcpy(place->name, handle.name, sizeof place->name);
            place->size = status.st_size;
            place->start = mmap(NULL, place->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        }
        if (file >= 0) close(file);
    }
    if (outcome == OK) {
        place->users++;
        *address = (uint64_t)place->start;
    }
    pthread_mutex_unlock(&lock);
    return outcome;
}

static mapping_t *mapping_of(uint64_t address, size_t size) {
    for (int i = 0; i < MAPPINGS; i++) {
        uint64_t start = (uint64_t)mappings[i].start;
        if (mappings[i].users && address >= start && address + size <= start + mappings[i].size) return &mappings[i];
    }
    return NULL;
}

int cuIpcCloseMemHandle(uint64_t address) {
    if (!current()) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    mapping_t *mapping = mapping_of(address, 1);
    if (mapping && !--mapping->users) munmap(mapping->start, mapping->size);
    pthread_mutex_unlock(&lock);
    return mapping ? OK : INVALID_VALUE;
}

int cuMemGetAddressRange_v2(uint64_t *base, size_t *size, uint64_t address) {
    pthread_mutex_lock(&lock);
    mapping_t *mapping = current() ? mapping_of(address, 1) : NULL;
    if (mapping) {
        *base = (uint64_t)mapping->start;
        *size = mapping->size;
    }
    pthread_mutex_unlock(&lock);
    return mapping ? OK : current() ? INVALID_VALUE : INVALID_CONTEXT;
}

static int copy(stream_t *stream, uint64_t device, void *to, const void *from, size_t size) {
    if (!current() || stream->context != current()) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    int outcome = mapping_of(device, size) && stream->count < COPIES ? OK : ILLEGAL_ADDRESS;
    if (outcome == OK) stream->copies[stream->count++] = (copy_t){to, from, size};
    pthread_mutex_unlock(&lock);
    return outcome;
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
    return copy(stream, from, to, (void *)from, size);
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
    return copy(stream, to, (void *)to, from, size);
}
