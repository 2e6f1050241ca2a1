/* Hashing the weights takes a second for a gigabyte, so it is done by a thread that has what time the batcher's workers leave.
 */
#include "server/model_space.h"

#include <string.h>
#include <sys/resource.h>

#include "server/helper_thread.h"

#define LOWEST_PRIORITY 19

static void *compute(void *context) {
    sv_model_space *space = context;
    setpriority(PRIO_PROCESS, 0, LOWEST_PRIORITY); /* on Linux: of this thread */
    if (senvec_model_space_id(space->model, space->id, NULL) == SENVEC_OK)
        atomic_store(&space->known, true);
    return NULL;
}

void sv_model_space_open(sv_model_space *space, const senvec_model *model, const senvec_model_info *info) {
    space->model = model;
    if (info->space_id) {
        memcpy(space->id, info->space_id, sizeof space->id);
        atomic_store(&space->known, true);
        return;
    }
    space->started = sv_helper_thread_start(&space->thread, compute, space) == 0;
}

void sv_model_space_close(sv_model_space *space) {
    if (space->started)
        pthread_join(space->thread, NULL);
    space->started = false;
}

const char *sv_model_space_id(const sv_model_space *space) {
    return atomic_load(&space->known) ? space->id : NULL;
}
