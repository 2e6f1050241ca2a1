#include "load_simulation.h"

#include <assert.h>

static uint64_t now(void *context) {
    return ((simulation *)context)->now_ns;
}

static sv_load_sent send_request(void *context, size_t ticket, const sv_load_request *request) {
    simulation *s = context;
    (void)request;
    if (s->connections > 0 && s->pending_count >= s->connections)
        return SV_LOAD_BUSY;
    assert(s->pending_count < SIMULATION_MAX);
    s->now_ns += s->send_ns;
    s->sent++;
    bool fails = s->fail_every > 0 && s->sent % s->fail_every == 0;
    if (fails && s->failure == SV_LOAD_UNCONNECTED)
        return SV_LOAD_FAILED;
    uint64_t begin = s->one_server && s->busy_until_ns > s->now_ns ? s->busy_until_ns : s->now_ns;
    uint64_t end = begin + s->service_ns;
    if (end >= s->stall_begin_ns && end < s->stall_end_ns)
        end = s->stall_end_ns;
    s->busy_until_ns = end;
    s->pending[s->pending_count].ticket = ticket;
    s->pending[s->pending_count].at_ns = s->silent ? UINT64_MAX : end;
    s->pending[s->pending_count++].outcome = fails ? s->failure : SV_LOAD_ANSWERED;
    return SV_LOAD_SENT;
}

static void cancel(void *context, size_t ticket) {
    simulation *s = context;
    for (size_t i = 0; i < s->pending_count; i++)
        if (s->pending[i].ticket == ticket) {
            s->pending[i] = s->pending[--s->pending_count];
            s->cancelled++;
            return;
        }
    assert(!"cancelled what isn't under way");
}

static senvec_status wait_for(void *context, uint64_t until_ns, sv_load_done *done, size_t capacity, size_t *count,
                              senvec_error *err) {
    simulation *s = context;
    (void)err;
    uint64_t next = until_ns;
    for (size_t i = 0; i < s->pending_count; i++)
        if (s->pending[i].at_ns < next)
            next = s->pending[i].at_ns;
    if (next > s->now_ns)
        s->now_ns = next;
    *count = 0;
    for (size_t i = 0; i < s->pending_count && *count < capacity;) {
        if (s->pending[i].at_ns > s->now_ns) {
            i++;
            continue;
        }
        done[(*count)++] = (sv_load_done){s->pending[i].ticket, s->pending[i].outcome, 0, s->pending[i].at_ns};
        s->pending[i] = s->pending[--s->pending_count];
    }
    return SENVEC_OK;
}

sv_load_target simulation_target(simulation *s) {
    return (sv_load_target){.context = s, .now = now, .send = send_request, .wait = wait_for, .cancel = cancel};
}
