/* Files that the study needs and that lie beside the program: in the checkout that it was built in, or installed. */
#ifndef SV_IO_PLACES_H
#define SV_IO_PLACES_H

#include "common/limits.h"

/* The running program's own path; "" where the system doesn't say. */
void sv_place_program(char out[SV_MAX_PATH]);
/* `name` in the nearest of the program's parent folders that has it; "" if none has. What is found may be executed, so the
 * search ends at a folder that others may write: beside a program in /tmp there is nothing. */
void sv_place_beside(const char *name, char out[SV_MAX_PATH]);
/* The Python interpreter: `given`, else $SENVEC_PYTHON, else .venv/bin/python beside the program; "" if there is none. */
void sv_place_python(const char *given, char out[SV_MAX_PATH]);

#endif
