/* What a run needs besides the model and the texts. */
#include <stdio.h>

#include "io/places.h"
#include "study/study_internal.h"

static void place_script(const char *name, char out[SV_MAX_PATH]) {
    char path[64];
    snprintf(path, sizeof path, "peers/%s", name);
    sv_place_beside(path, out);
    snprintf(path, sizeof path, "share/senvec/peers/%s", name);
    if (!out[0])
        sv_place_beside(path, out);
}

void sv_study_find_places(const sv_study_options *options, sv_study_places *out) {
    *out = (sv_study_places){0};
    sv_place_program(out->program);
    place_script("worker.py", out->worker_script);
    place_script("serve.py", out->serve_script);
    sv_place_python(options->python, out->python);
    if (!out->worker_script[0])
        snprintf(out->missing, sizeof out->missing, "peers/worker.py is not beside %s; install it, or use --peers none",
                 out->program);
    else if (!out->python[0])
        snprintf(out->missing, sizeof out->missing,
                 "no Python for the peers; ./run study makes .venv, --python names another one");
}
