/* A share that is a multiple of what is left needs no number of addresses known beforehand: the first may take much, each later
 * one a part of the rest, and nobody who holds little is refused because of one who holds much. (Shared buffers of switches are
 * divided so: A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.) */
#include "server/request_memory.h"

size_t sv_request_memory_default(uint64_t machine, uint64_t model) {
    uint64_t taken = model + ((uint64_t)64 << 20), half = machine > taken ? (machine - taken) / 2 : 0;
    if (machine == 0 || half > SV_DEFAULT_SERVER_MEMORY)
        return SV_DEFAULT_SERVER_MEMORY;
    return half > SV_LEAST_SERVER_MEMORY ? (size_t)half : SV_LEAST_SERVER_MEMORY;
}

void sv_request_memory_init(sv_request_memory *memory, size_t most) {
    *memory = (sv_request_memory){.most = most};
    pthread_mutex_init(&memory->lock, NULL);
}

void sv_request_memory_release(sv_request_memory *memory) {
    pthread_mutex_destroy(&memory->lock);
}

static size_t times_free(sv_memory_use use) {
    return use == SV_MEMORY_BODY ? 1 : 15;
}

/* What requests that take `wanted` bytes in all may use together. */
static size_t usable(const sv_request_memory *memory, sv_memory_use use, size_t wanted) {
    return wanted <= SV_SMALL_REQUEST || use == SV_MEMORY_ANSWER ? memory->most : memory->most - memory->most / 8;
}

size_t sv_request_memory_limit(const sv_request_memory *memory, sv_memory_use use, size_t wanted) {
    return usable(memory, use, wanted) / (times_free(use) + 1) * times_free(use);
}

static sv_memory_held *share_of(sv_request_memory *memory, uint64_t address) {
    return &memory->shares[address % SV_MEMORY_SHARES];
}

sv_memory_answer sv_request_memory_take(sv_request_memory *memory, uint64_t address, sv_memory_use use, sv_memory_held *held,
                                        size_t more) {
    size_t wanted;
    if (__builtin_add_overflow(held->request + held->answer, more, &wanted) ||
        wanted > sv_request_memory_limit(memory, use, wanted))
        return SV_MEMORY_NEVER;
    size_t all = usable(memory, use, wanted), most_answers = memory->most / (wanted <= SV_SMALL_REQUEST ? 2 : 4);
    sv_memory_held *share = share_of(memory, address);
    pthread_mutex_lock(&memory->lock);
    size_t left = memory->used < all && all - memory->used > more ? all - memory->used - more : 0;
    size_t counted = share->request + (use == SV_MEMORY_BODY ? 0 : share->answer);
    bool granted =
        more == 0 || (counted + more <= times_free(use) * left && (use != SV_MEMORY_ANSWER || share->answer <= most_answers));
    if (granted) {
        memory->used += more;
        *(use == SV_MEMORY_ANSWER ? &share->answer : &share->request) += more;
        *(use == SV_MEMORY_ANSWER ? &held->answer : &held->request) += more;
    }
    pthread_mutex_unlock(&memory->lock);
    return granted ? SV_MEMORY_GRANTED : SV_MEMORY_BUSY;
}

void sv_request_memory_force(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t more) {
    pthread_mutex_lock(&memory->lock);
    memory->used += more;
    share_of(memory, address)->answer += more;
    held->answer += more;
    pthread_mutex_unlock(&memory->lock);
}

void sv_request_memory_give(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t bytes) {
    pthread_mutex_lock(&memory->lock);
    memory->used -= bytes;
    share_of(memory, address)->request -= bytes;
    held->request -= bytes;
    pthread_mutex_unlock(&memory->lock);
}

void sv_request_memory_keep(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t answer) {
    size_t had = held->request + held->answer, kept = answer < had ? answer : had;
    sv_memory_held *share = share_of(memory, address);
    pthread_mutex_lock(&memory->lock);
    memory->used -= had - kept;
    share->request -= held->request;
    share->answer -= held->answer;
    share->answer += kept;
    pthread_mutex_unlock(&memory->lock);
    *held = (sv_memory_held){.answer = kept};
}

size_t sv_request_memory_used(sv_request_memory *memory) {
    pthread_mutex_lock(&memory->lock);
    size_t used = memory->used;
    pthread_mutex_unlock(&memory->lock);
    return used;
}
