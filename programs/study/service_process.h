/* An embedding service that the study starts: a process that says on its output where it listens. */
#ifndef SV_STUDY_SERVICE_PROCESS_H
#define SV_STUDY_SERVICE_PROCESS_H

#include <signal.h>

#include "http/url.h"
#include "study/service_list.h"

/* The model's name in `senvec serve`. */
#define SV_SERVED_NAME "study"

/* What services are made of. */
typedef struct sv_service_places {
    const char *program; /* senvec */
    const char *python;  /* interpreter of the peers; NULL: none */
    const char *script;  /* peers/serve.py; NULL: not there */
    const char *model;   /* its directory, or file */
    const char *native;  /* its int8 file, which `senvec serve` opens */
    const char *onnx;    /* folder with its ONNX file in int8 */
    const char *cpu;     /* ISA mask of senvec; NULL: everything */
    const char *scratch; /* an existing folder */
    size_t threads;
    double timeout_s; /* in which a service has to listen */
    const volatile sig_atomic_t *cancelled;
} sv_service_places;

typedef struct sv_service_process sv_service_process;

/* Starts a service of a kind that is started, and waits until it says where it listens: *url. The process ends with this one.
 * Errors: NOT_FOUND (what it needs isn't there), SYSTEM (it ended: its last line says why; or it doesn't listen), CANCELLED,
 * those of sv_process_start. */
senvec_status sv_service_start(const sv_service *service, const sv_service_places *places, sv_service_process **out,
                               sv_url *url, senvec_error *err);
/* NULL is accepted. */
void sv_service_stop(sv_service_process *process);

/* Bytes of memory: the peak of what was resident; and what is there now, with what is shared among processes divided by their
 * number (PSS; 0 where the kernel doesn't say). */
uint64_t sv_service_peak_rss(const sv_service_process *process);
uint64_t sv_service_pss(const sv_service_process *process);

/* Is llama-server in $PATH? */
bool sv_service_has_llama(void);

#endif
