/* The batcher's threads put what is done into a list; the generator's thread takes it from there. A slot holds one request with
 * the memory that the batcher needs for it and goes back to the free ones when the generator has seen it done, or, if it was
 * cancelled, when the batcher has let go of it. */
#include "loadgen/batcher_target.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/condition.h"
#include "loadgen/realtime.h"

typedef struct slot {
    sv_request request;
    struct sv_batcher_target *target;
    struct slot *next; /* in the list of free or of done ones */
    size_t ticket;
    bool busy, cancelled, refused;
    senvec_text *texts; /* [capacity], as are the others */
    uint32_t *lengths;
    float *vectors;
    size_t capacity;
} slot;

struct sv_batcher_target {
    sv_batcher *batcher;
    const sv_workload *workload;
    size_t dimensions, slot_count;
    slot *slots;
    slot *free;            /* the generator's thread only */
    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t changed;
    slot *done, **done_end; /* in order */
    size_t busy;            /* slots that the batcher has */
};

static uint64_t now(void *context) {
    (void)context;
    return sv_clock_ns();
}

/* The batcher has let go of the slot, or never took it. */
static void add_done(sv_batcher_target *target, slot *s) {
    s->next = NULL;
    *target->done_end = s;
    target->done_end = &s->next;
    pthread_cond_signal(&target->changed);
}

static void on_done(sv_request *request) {
    slot *s = request->context;
    pthread_mutex_lock(&s->target->mutex);
    s->target->busy--;
    add_done(s->target, s);
    pthread_mutex_unlock(&s->target->mutex);
}

static bool reserve(slot *s, size_t count, size_t dimensions) {
    if (count <= s->capacity)
        return true;
    free(s->texts);
    free(s->lengths);
    free(s->vectors);
    s->texts = calloc(count, sizeof *s->texts);
    s->lengths = calloc(count, sizeof *s->lengths);
    s->vectors = calloc(count, dimensions * sizeof *s->vectors);
    s->capacity = s->texts && s->lengths && s->vectors ? count : 0;
    return s->capacity > 0;
}

static sv_load_sent send_request(void *context, size_t ticket, const sv_load_request *request) {
    sv_batcher_target *target = context;
    slot *s = target->free;
    if (!s)
        return SV_LOAD_BUSY;
    if (!reserve(s, request->count, target->dimensions))
        return SV_LOAD_FAILED;
    target->free = s->next;
    for (size_t i = 0; i < request->count; i++)
        s->texts[i] = target->workload->sets[request->length].texts[sv_load_text_index(target->workload, request, i)];
    s->ticket = ticket;
    s->cancelled = false;
    s->busy = true;
    /* Every request is a client of its own: an open loop's are independent users. */
    s->request = (sv_request){.texts = s->texts,
                              .count = request->count,
                              .lengths = s->lengths,
                              .out = s->vectors,
                              .stride = target->dimensions,
                              .client = ticket,
                              .done = on_done,
                              .context = s};
    pthread_mutex_lock(&target->mutex);
    target->busy++;
    pthread_mutex_unlock(&target->mutex);
    uint64_t retry_ns;
    s->refused = false;
    if (sv_batcher_submit(target->batcher, &s->request, &retry_ns) != SV_ADMITTED) {
        s->refused = true;
        s->request.finished_ns = sv_clock_ns();
        on_done(&s->request);
    }
    return SV_LOAD_SENT;
}

static void cancel(void *context, size_t ticket) {
    sv_batcher_target *target = context;
    for (size_t i = 0; i < target->slot_count; i++) {
        slot *s = &target->slots[i];
        if (s->busy && !s->cancelled && s->ticket == ticket) {
            s->cancelled = true;
            sv_batcher_cancel(target->batcher, &s->request);
            return;
        }
    }
}

static sv_load_outcome outcome_of(const slot *s) {
    if (s->refused)
        return SV_LOAD_REFUSED;
    return s->request.status == SENVEC_OK ? SV_LOAD_ANSWERED : SV_LOAD_STATUS;
}

/* Takes the list of what is done, after waiting for it until `until_ns`. */
static slot *take_done(sv_batcher_target *target, uint64_t until_ns, size_t capacity) {
    pthread_mutex_lock(&target->mutex);
    while (!target->done && sv_clock_ns() < until_ns)
        sv_condition_wait(&target->changed, &target->mutex, until_ns);
    slot *first = target->done, *last = NULL;
    for (size_t i = 0; i < capacity && target->done; i++) {
        last = target->done;
        target->done = last->next;
    }
    if (last)
        last->next = NULL;
    if (!target->done)
        target->done_end = &target->done;
    pthread_mutex_unlock(&target->mutex);
    return first;
}

static senvec_status wait_for(void *context, uint64_t until_ns, sv_load_done *done, size_t capacity, size_t *count,
                              senvec_error *err) {
    sv_batcher_target *target = context;
    (void)err;
    *count = 0;
    for (slot *s = take_done(target, until_ns, capacity), *next; s; s = next) {
        next = s->next;
        if (!s->cancelled)
            done[(*count)++] = (sv_load_done){s->ticket, outcome_of(s), 0, s->request.finished_ns};
        s->busy = false;
        s->next = target->free;
        target->free = s;
    }
    return SENVEC_OK;
}

senvec_status sv_batcher_target_open(sv_batcher *batcher, size_t dimensions, const sv_workload *workload, size_t requests,
                                     sv_batcher_target **out, senvec_error *err) {
    sv_batcher_target *target = calloc(1, sizeof *target);
    slot *slots = calloc(requests, sizeof *slots);
    if (!target || !slots) {
        free(target);
        free(slots);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu requests", requests);
    }
    /* Inherited priority: a thread of the batcher that holds the mutex isn't left waiting for a CPU by other programs. */
    pthread_mutexattr_t inherited;
    if (pthread_mutexattr_init(&inherited) != 0 || pthread_mutexattr_setprotocol(&inherited, PTHREAD_PRIO_INHERIT) != 0 ||
        pthread_mutex_init(&target->mutex, &inherited) != 0 || !sv_condition_init(&target->changed)) {
        free(target);
        free(slots);
        return sv_fail(err, SENVEC_SYSTEM, 0, "no mutex or condition variable");
    }
    pthread_mutexattr_destroy(&inherited);
    target->batcher = batcher;
    target->workload = workload;
    target->dimensions = dimensions;
    target->slots = slots;
    target->slot_count = requests;
    target->done_end = &target->done;
    for (size_t i = requests; i-- > 0;) {
        slots[i].target = target;
        slots[i].next = target->free;
        target->free = &slots[i];
    }
    sv_realtime_begin();
    *out = target;
    return SENVEC_OK;
}

void sv_batcher_target_close(sv_batcher_target *target) {
    if (!target)
        return;
    sv_realtime_end();
    pthread_mutex_lock(&target->mutex);
    while (target->busy > 0)
        pthread_cond_wait(&target->changed, &target->mutex);
    pthread_mutex_unlock(&target->mutex);
    for (size_t i = 0; i < target->slot_count; i++) {
        free(target->slots[i].texts);
        free(target->slots[i].lengths);
        free(target->slots[i].vectors);
    }
    pthread_cond_destroy(&target->changed);
    pthread_mutex_destroy(&target->mutex);
    free(target->slots);
    free(target);
}

sv_load_target sv_batcher_target_driver(sv_batcher_target *target) {
    return (sv_load_target){.context = target, .now = now, .send = send_request, .wait = wait_for, .cancel = cancel};
}
