/* Where the files of one model are. Everything that reads a model begins with sv_model_layout_open. */
#ifndef SV_MODEL_MODEL_LAYOUT_H
#define SV_MODEL_MODEL_LAYOUT_H

#include "common/model_files.h"
#include "common/status.h"
#include "model/config.h"

typedef struct sv_model_layout {
    sv_model_form form;     /* FOLDER or NATIVE */
    char path[SV_MAX_PATH]; /* the folder or file, as the caller named it */
    char
        transformer[SV_MAX_PATH]; /* the Transformer module's folder, which holds weights and tokenizer; "" for a native file */
} sv_model_layout;

/* Finds out what the model at `path` is. The configuration of a folder is read into *config, because it says where the
 * Transformer module lies; for a native file *config isn't touched (sv_native_open reads it). Errors: NOT_FOUND (neither folder
 * nor file), TOO_LARGE (the path), and for a folder as sv_config_load. */
senvec_status sv_model_layout_open(const char *path, sv_model_layout *out, sv_config *config, senvec_error *err);

/* The path of a file that belongs to the Transformer module of a folder; some models keep it one folder above. False: there is
 * no such file. */
bool sv_model_layout_find(const sv_model_layout *layout, const char *name, char out[SV_MAX_PATH]);

#endif
