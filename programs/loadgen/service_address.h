/* How a running service is named on the command line: URL[,DIALECT][,MODEL] */
#ifndef SV_LOADGEN_SERVICE_ADDRESS_H
#define SV_LOADGEN_SERVICE_ADDRESS_H

#include "http/url.h"
#include "loadgen/load_dialect.h"

typedef struct sv_service_address {
    sv_url url;
    sv_load_dialect dialect; /* OpenAI's unless given */
    char model[200];         /* name to ask for; "": not given */
} sv_service_address;

/* A second part that is no dialect is the model's name. Error: INVALID_ARGUMENT (what is wrong with it). */
senvec_status sv_service_address_parse(const char *text, sv_service_address *out, senvec_error *err);

/* Writes the whole address that is asked, "http://HOST:PORT/PATH", with the dialect's path where none was given. */
#define SV_SERVICE_URL 1400
void sv_service_address_url(const sv_url *url, sv_load_dialect dialect, char out[SV_SERVICE_URL]);

#endif
